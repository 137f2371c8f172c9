/** Longest delay that a Node timer takes; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** `setTimeout` for any duration: calls `done` once after `delayMs`. Returns how to cancel it. */
export function longTimeout(done: () => void, delayMs: number): () => void {
  const end = performance.now() + delayMs
  let timer: NodeJS.Timeout
  const arm = () => {
    const leftMs = end - performance.now()
    if (leftMs <= MAX_TIMER_MS) timer = setTimeout(done, Math.max(0, leftMs))
    else timer = setTimeout(arm, MAX_TIMER_MS)
  }
  arm()
  return () => clearTimeout(timer)
}
