import { LIMITS } from '../../kernel/limits.js'

/** What V8 writes on stderr when its heap is full, before it aborts the process. */
const HEAP_IS_FULL = /heap out of memory|Reached heap limit/

/** What is known of a process that died over its action. */
export interface Death {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** The end of what it wrote on stderr. */
  readonly lastWords: string
  /** Its memory when its guard killed it for that, MiB. */
  readonly exceededMb: number | undefined
  readonly memoryMb: number
}

/** Why a process died that its worker did not kill: the code and message of the attempt's failure. */
export function causeOfDeath({ code, signal, lastWords, exceededMb, memoryMb }: Death): {
  code: 'action_memory_exceeded' | 'action_process_died'
  message: string
} {
  const give = 'give it more by isolation.memoryMb (--isolated-memory)'
  if (exceededMb !== undefined) {
    const most = memoryMb + LIMITS.isolatedOverheadMb
    const message = `the isolated action's process took ${exceededMb} MiB, at most ${most} are allowed; ${give}`
    return { code: 'action_memory_exceeded', message }
  }
  if (HEAP_IS_FULL.test(lastWords)) {
    const message = `the isolated action's heap was full at ${memoryMb} MiB; ${give}`
    return { code: 'action_memory_exceeded', message }
  }
  const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`
  return { code: 'action_process_died', message: `the isolated action's process ${how} before the action did` }
}
