import { isEnded } from '../../engine/status.js'
import type { RunHandle } from '../../runs/run-handle.js'
import { wholeHistory } from '../follow-run.js'
import { duration, timeOfDay } from '../times.js'
import { checkRun, type RunVerdict } from './crowd-check.js'
import { crowdProcedure, orderContext, orderPath } from './crowd-procedure.js'
import type { Narrator } from './narrator.js'
import type { Stage } from './stage.js'

/** A worker is killed when this share of the runs has ended, or that of the transitions is done. */
const KILL_AT_RUNS = 0.25
const KILL_AT_TRANSITIONS = 0.5

/** Histories read at a time. */
const CHECK_AT_ONCE = 50

export interface CrowdResult {
  readonly ok: boolean
  readonly runs: number
  readonly ended: number
  readonly transitions: number
  readonly lost: number
  readonly doubled: number
  readonly killedPid: number
  readonly repeatedAttempts: number
  readonly seconds: number
}

const count = (value: number): string => value.toLocaleString('en')

/** Starts many runs at once, kills a worker among them with SIGKILL, and checks every history when all have ended. */
export async function playCrowd(
  stage: Stage,
  size: number,
  narrator: Narrator,
  signal: AbortSignal,
): Promise<CrowdResult> {
  const { store } = stage
  const { name, version } = crowdProcedure
  await store.register(crowdProcedure)
  narrator.section(`${count(size)} runs at once, and a worker that is killed in the middle`, name)
  const crowd = new Crowd(stage, size, narrator)
  const watched = new AbortController()
  const stopWatching = () => watched.abort()
  signal.addEventListener('abort', stopWatching)
  const watching = crowd.watch(watched.signal)
  const began = performance.now()
  const runs = await Promise.all(
    Array.from({ length: size }, (_, index) => store.startProcedure(name, version, orderContext(index))),
  )
  await Promise.all(runs.map((run) => run.result()))
  const seconds = Math.round(performance.now() - began) / 1_000
  stopWatching()
  signal.removeEventListener('abort', stopWatching)
  await watching
  narrator.endProgress()
  return checkCrowd(stage, runs, { killedPid: crowd.killedPid, seconds, narrator })
}

/** What is seen of the crowd while it runs, by its live events. */
class Crowd {
  readonly #stage: Stage
  readonly #size: number
  readonly #narrator: Narrator
  readonly #transitions: number
  #visits = 0
  #ended = 0
  killedPid = 0

  constructor(stage: Stage, size: number, narrator: Narrator) {
    this.#stage = stage
    this.#size = size
    this.#narrator = narrator
    this.#transitions = sum(Array.from({ length: size }, (_, index) => orderPath(orderContext(index).left).length))
  }

  /**
   * Counts until `signal` fires. The position from which it listens is read on the store's own connection, so whatever the store
   * starts after this call is counted.
   */
  async watch(signal: AbortSignal): Promise<void> {
    this.#tellProgress()
    for await (const event of this.#stage.store.subscribe({ procedure: crowdProcedure.name, signal })) {
      if (event.revision !== undefined) this.#visits++
      if (event.status !== undefined && isEnded(event.status)) this.#ended++
      this.#tellProgress()
      const middle = this.#ended >= KILL_AT_RUNS * this.#size || this.#visits >= KILL_AT_TRANSITIONS * this.#transitions
      if (middle && this.killedPid === 0) this.#kill()
    }
  }

  #tellProgress(): void {
    const text = `${count(this.#visits)} of ${count(this.#transitions)} transitions, ${count(this.#ended)} runs ended`
    this.#narrator.progress(this.#visits, this.#transitions, text)
  }

  #kill(): void {
    const { fleet } = this.#stage
    const pid = fleet.pids[0]
    if (pid === undefined) return
    this.killedPid = pid
    const { paint } = this.#narrator
    const tell = (line: string) => this.#narrator.say(`   ${paint.dim(timeOfDay(Date.now()))} ${line}`)
    fleet.once('died', ({ restartInMs }) => {
      tell(paint.yellow(`the fleet sees that worker ${pid} is dead, and starts another in ${duration(restartInMs)}`))
      fleet.once('ready', (another) => tell(paint.green(`worker ${another} is ready in its place`)))
    })
    process.kill(pid, 'SIGKILL')
    tell(paint.red(`SIGKILL to worker ${pid}: ${count(this.#ended)} of ${count(this.#size)} runs have ended`))
  }
}

async function checkCrowd(
  { store }: Stage,
  runs: readonly RunHandle[],
  { killedPid, seconds, narrator }: { killedPid: number; seconds: number; narrator: Narrator },
): Promise<CrowdResult> {
  const verdicts: RunVerdict[] = []
  let ended = 0
  let transitions = 0
  for (let from = 0; from < runs.length; from += CHECK_AT_ONCE)
    await Promise.all(
      runs.slice(from, from + CHECK_AT_ONCE).map(async (run, i) => {
        const [state, history] = await Promise.all([run.state(), wholeHistory(store, run.id)])
        if (isEnded(state.status)) ended++
        transitions += history.filter(({ revision }) => revision !== undefined).length
        verdicts.push(checkRun(state, history, orderPath(orderContext(from + i).left)))
      }),
    )
  const faults = verdicts.flatMap((verdict) => verdict.faults)
  const result = {
    ok: faults.length === 0 && killedPid !== 0,
    runs: runs.length,
    ended,
    transitions,
    lost: sum(verdicts.map(({ lost }) => lost)),
    doubled: sum(verdicts.map(({ doubled }) => doubled)),
    killedPid,
    repeatedAttempts: sum(verdicts.map(({ repeatedAttempts }) => repeatedAttempts)),
    seconds,
  }
  tellResult(result, faults, narrator)
  return result
}

function tellResult(result: CrowdResult, faults: readonly string[], narrator: Narrator): void {
  const { runs, ended, transitions, lost, doubled, killedPid, repeatedAttempts, seconds } = result
  narrator.verdict(ended === runs, `${count(ended)} of ${count(runs)} runs ended, in ${seconds.toFixed(1)} s`)
  if (killedPid === 0) narrator.verdict(false, 'no worker was killed: all was over before')
  const once = lost === 0 && doubled === 0 && faults.length === 0
  narrator.verdict(
    once,
    once
      ? `${count(transitions)} transitions, each exactly once: every history replays to its run`
      : `${count(transitions)} transitions, ${lost} lost, ${doubled} doubled`,
  )
  for (const fault of faults.slice(0, 10)) narrator.verdict(false, fault)
  const attempts = repeatedAttempts === 1 ? '1 action was' : `${repeatedAttempts} actions were`
  narrator.say(`   ${narrator.paint.dim('·')} ${attempts} repeated, as their worker had died in the middle of them`)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
