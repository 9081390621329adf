//! Scenarios of agents and hubs that mostly wait for somebody to be missed: in one program, so that they wait together.

#[path = "fleet_agent.rs"]
mod fleet_agent;
#[path = "fleet_hubs.rs"]
mod fleet_hubs;
#[path = "fleet_netns.rs"]
mod fleet_netns;
#[path = "forward_hub.rs"]
mod forward_hub;
