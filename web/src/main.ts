/** Starts the dashboard: styles, stream, first page. */
import { mount } from 'svelte';
import App from './App.svelte';
import './parts/tokens.css';
import './parts/base.css';
import { live } from './state/live.svelte';

live.start();
const target = document.getElementById('app');
if (target) mount(App, { target });
