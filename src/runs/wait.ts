import type { RunRecord } from '../engine/run.js'
import { isEnded } from '../engine/status.js'
import { ProcessionError } from '../kernel/errors.js'
import { longTimeout } from '../kernel/long-timeout.js'
import type { LiveStreamReader } from './live-stream.js'

/** `ended`: the run is over. `idle`: it is over, or waits for an event. */
export type WaitUntil = 'ended' | 'idle'

function isThere(run: Pick<RunRecord, 'status'>, until: WaitUntil): boolean {
  return isEnded(run.status) || (until === 'idle' && run.status === 'waiting')
}

/** How long after its timeout a wait may still learn where the run stands, to say so. */
const ANSWER_MS = 500

export interface WaitOptions {
  readonly until: WaitUntil
  /** Milliseconds; undefined waits for ever. */
  readonly timeoutMs: number | undefined
  readonly read: () => Promise<RunRecord>
  readonly signal: AbortSignal
}

/**
 * Resolves with the run once it is there. Woken by the live stream: it listens first and reads then, so nothing that is
 * committed in between is missed. Throws `wait_timeout`, and `closed` when the store is closed meanwhile.
 */
export async function waitForRun(stream: LiveStreamReader, runId: string, options: WaitOptions): Promise<RunRecord> {
  const { timeoutMs } = options
  if (timeoutMs === undefined) return watchRun(stream, runId, options)
  let cancel = () => {}
  const late = new Promise<never>((_resolve, reject) => {
    const message = `Redis has not answered within ${timeoutMs} ms how run ${runId} is; the run goes on, wait again`
    cancel = longTimeout(() => reject(new ProcessionError('wait_timeout', message)), timeoutMs + ANSWER_MS)
  })
  try {
    return await Promise.race([watchRun(stream, runId, options), late])
  } finally {
    cancel()
  }
}

async function watchRun(stream: LiveStreamReader, runId: string, options: WaitOptions): Promise<RunRecord> {
  const { until, read, timeoutMs, signal } = options
  let wake: () => void = () => {}
  let check = true
  const nudge = () => {
    check = true
    wake()
  }
  const started = Date.now()
  const unlisten = await stream.listen({
    runId,
    onEvent: (event) => {
      if (event.status !== undefined) nudge()
    },
    onResumed: nudge,
  })
  signal.addEventListener('abort', nudge)
  try {
    for (;;) {
      if (signal.aborted) throw new ProcessionError('closed', `the store was closed while run ${runId} was waited for`)
      check = false
      const run = await read()
      if (isThere(run, until)) return run
      const leftMs = timeoutMs === undefined ? undefined : started + timeoutMs - Date.now()
      if (leftMs !== undefined && leftMs <= 0) throw timedOut(run, until, timeoutMs!)
      if (check) continue
      let cancel = () => {}
      await new Promise<void>((resolve) => {
        wake = resolve
        if (leftMs !== undefined) cancel = longTimeout(resolve, leftMs)
      })
      cancel()
    }
  } finally {
    signal.removeEventListener('abort', nudge)
    unlisten()
  }
}

function timedOut(run: RunRecord, until: WaitUntil, timeoutMs: number): ProcessionError {
  const hint = run.status === 'running' ? '; is a worker running that has its actions?' : '.'
  return new ProcessionError(
    'wait_timeout',
    `run ${run.id} is ${run.status} in state ${JSON.stringify(run.state)}, not ${until}, after ${timeoutMs} ms${hint} The run goes on; wait again or longer`,
  )
}
