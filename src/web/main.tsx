import { render } from 'preact';
import './tokens.css';
import './page.css';
import { Page } from './page.js';

render(<Page />, document.getElementById('page')!);
