/** Thread entry in the process of isolated actions: ends that process with its worker, and over its memory. */
import { guardProcess } from '../src/worker/isolation/guard.js'

guardProcess()
