import { EXIT } from './exit-codes.js'

/** Signals that ask a process to end. SIGHUP: its terminal was closed. */
export const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The wish that a command without an end of its own, or with much to clear away, may end. */
export interface Interrupt {
  readonly signal: AbortSignal
  /** Gives the signals back their usual effect. */
  release(): void
}

/**
 * Turns SIGINT, SIGTERM and SIGHUP, and whatever fires `others`, into one abort. A second signal ends the process at once with
 * code 130: it is for somebody who does not want to wait for what the first one began.
 */
export function interruptible(...others: AbortSignal[]): Interrupt {
  const controller = new AbortController()
  let signals = 0
  const onSignal = () => {
    if (signals++ > 0) process.exit(EXIT.interrupted)
    controller.abort()
  }
  const onOther = () => controller.abort()
  for (const signal of END_SIGNALS) process.on(signal, onSignal)
  for (const other of others) other.addEventListener('abort', onOther)
  return {
    signal: controller.signal,
    release() {
      for (const signal of END_SIGNALS) process.off(signal, onSignal)
      for (const other of others) other.removeEventListener('abort', onOther)
    },
  }
}
