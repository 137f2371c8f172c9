import type { RunStatus } from '../engine/status.js'
import type { Paint } from './paint.js'

/** How a status is coloured, everywhere. */
export function statusPaint(paint: Paint, status: RunStatus): (text: string) => string {
  switch (status) {
    case 'completed':
      return paint.green
    case 'failed':
      return paint.red
    case 'waiting':
    case 'paused':
    case 'scheduled':
    case 'rolling_back':
      return paint.yellow
    case 'cancelled':
    case 'rolled_back':
      return paint.dim
    default:
      return paint.cyan
  }
}
