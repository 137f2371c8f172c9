/** Process entry of isolated actions: started by a worker, which talks to it over pipes; see `src/worker/isolation/`. */
import { serveIsolatedActions } from '../src/worker/isolation/action-process.js'

await serveIsolatedActions(new URL('./isolated-action-guard.js', import.meta.url))
