/** Starts the dashboard: styles, stream, words, first page. */
import { mount } from 'svelte';
import App from './App.svelte';
import './parts/tokens.css';
import './parts/base.css';
import { live } from './state/live.svelte';
import { settings } from './state/settings.svelte';

live.start();
await settings.speak(settings.language);
const target = document.getElementById('app');
if (target) mount(App, { target });
