import pino from 'pino'
import type { Logger } from '../actions/action.js'

/** JSON lines on stderr, so that stdout stays for results. */
export function stderrLogger(level: 'debug' | 'info' | 'warn' | 'error' | 'silent' = 'info'): Logger {
  return pino({ level, base: { pid: process.pid } }, pino.destination({ fd: 2, sync: true }))
}
