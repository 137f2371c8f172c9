/** Thread entry of a worker's lock keeper, which renews the locks of its jobs while its event loop is blocked. */
import { serveLockKeeper } from '../src/worker/lock-keeper/lock-keeper-thread.js'

await serveLockKeeper()
