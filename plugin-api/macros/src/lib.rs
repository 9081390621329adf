//! The procedural macros behind `bartizan-plugin`.
