/**
 * Does the steps of a case with a driver, and says what came out.
 *
 * A run stands in one of four ways. `over`: it has ended. `parked`: it waits for an event; a timer of its state or of the
 * whole run may be armed. `held`: it goes on by itself, when a sleep, a backoff or a slow function is over (`wakeAt`).
 * `busy`: it goes on at once. Before each step the run settles: it is over, parked, or held for so long that the case means
 * it to be held there. After `advance_ms` the next step meets the run as that moment left it.
 */
import { type CaseStep, type FsmCase, flatSteps } from './fsm-case.js'
import { mismatches, type Observation, verdict } from './fsm-expect.js'

export interface Standing {
  readonly kind: 'over' | 'parked' | 'held' | 'busy'
  /** When it goes on by itself, by the driver's clock; Infinity when it never does. */
  readonly wakeAt: number
}

/** A run of a case on some engine, with the engine's clock. */
export interface CaseDriver {
  /** Real milliseconds of one nominal one. */
  readonly factor: number
  now(): number
  /** Lets things happen until the run stands so. Throws when it does not come to that. */
  proceed(there: (standing: Standing) => boolean): Promise<Standing>
  /** Lets the clock come to `at`. */
  passTime(at: number): Promise<void>
  /** Whether a transition took the event. */
  send(event: string, payload: unknown): Promise<boolean>
  interrupt(reason: string | undefined): Promise<void>
  crash(during: string | undefined): Promise<void>
  restart(): Promise<void>
  observe(): Promise<Omit<Observation, 'ignored'>>
}

export interface CaseResult {
  readonly seen: Observation
  /** What did not hold, in words; empty when the case passed. */
  readonly faults: readonly string[]
}

/** A run held for longer than this, nominal, is meant to be held while the next step is done. */
const MEANT_TO_BE_HELD_MS = 10_000
/** Deadlines of a parked run that may pass before it looks as expected. */
const MOST_DEADLINES = 50

export async function runCase(testCase: FsmCase, driver: CaseDriver): Promise<CaseResult> {
  const runner = new CaseRunner(driver)
  const steps = flatSteps(testCase.steps)
  for (const [index, step] of steps.entries()) await runner.step(step, index, steps[index - 1])
  const seen = await runner.finish(testCase)
  return { seen, faults: [...runner.faults, ...verdict(testCase, seen)] }
}

class CaseRunner {
  readonly faults: string[] = []
  readonly #driver: CaseDriver
  readonly #ignored: string[] = []

  constructor(driver: CaseDriver) {
    this.#driver = driver
  }

  async step(step: CaseStep, index: number, before: CaseStep | undefined): Promise<void> {
    const driver = this.#driver
    if (step.advance_ms !== undefined) return this.#advance(step.advance_ms)
    if (step.crash_worker !== undefined) return driver.crash(stateNamed(step.crash_worker))
    if (step.restart_worker !== undefined) return driver.restart()
    if (step.no_settle_before === undefined && before?.advance_ms === undefined) await this.#settle()
    if (step.send_event !== undefined && !(await driver.send(step.send_event, step.payload)))
      this.#ignored.push(step.send_event)
    if (step.interrupt !== undefined) await driver.interrupt(textOf(step.interrupt))
    if (step.check) {
      const faults = mismatches(step.check, await this.#observe())
      this.faults.push(...faults.map((fault) => `step ${index + 1} (check): ${fault}`))
    }
  }

  async #settle(): Promise<void> {
    const driver = this.#driver
    await driver.proceed(({ kind, wakeAt }) => {
      if (kind !== 'held') return kind !== 'busy'
      return wakeAt - driver.now() > MEANT_TO_BE_HELD_MS * driver.factor
    })
  }

  /** All that is due by the end of the time has happened, and nothing that is due later. */
  async #advance(nominalMs: number): Promise<void> {
    const driver = this.#driver
    const start = driver.now()
    await driver.proceed(({ kind, wakeAt }) => kind !== 'busy' && wakeAt > start)
    const end = driver.now() + nominalMs * driver.factor
    await driver.passTime(end)
    await driver.proceed(({ kind, wakeAt }) => kind !== 'busy' && wakeAt > end)
  }

  /** Waits until the run is over or parked, and then, while it does not look as expected, for its deadlines. */
  async finish(testCase: FsmCase): Promise<Observation> {
    const driver = this.#driver
    let standing = await driver.proceed(
      ({ kind, wakeAt }) => kind === 'over' || kind === 'parked' || (kind === 'held' && wakeAt === Infinity),
    )
    for (let i = 0; i < MOST_DEADLINES && standing.wakeAt !== Infinity; i++) {
      const { wakeAt } = standing
      if (verdict(testCase, await this.#observe()).length === 0) break
      standing = await driver.proceed((next) => next.kind !== 'busy' && next.wakeAt > wakeAt)
    }
    return this.#observe()
  }

  async #observe(): Promise<Observation> {
    return { ...(await this.#driver.observe()), ignored: [...this.#ignored] }
  }
}

/** `{during: "B"}`, `"B"`, or anything else for "now". */
function stateNamed(crash: unknown): string | undefined {
  return typeof crash === 'object' && crash !== null ? textOf((crash as { during?: unknown }).during) : textOf(crash)
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
