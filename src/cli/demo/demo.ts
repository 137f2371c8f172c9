import { readFile } from 'node:fs/promises'
import type { Cli } from '../cli.js'
import { EXIT } from '../exit-codes.js'
import { CommandFailure } from '../failure.js'
import { interruptible } from '../interrupt.js'
import { type CrowdResult, playCrowd } from './crowd.js'
import { Narrator } from './narrator.js'
import { playScenario, SCENARIOS, type ScenarioResult } from './scenarios.js'
import { EXAMPLES, openStage, type Stage } from './stage.js'

export interface DemoOptions {
  readonly runs: number
  readonly workers: number
}

interface Summary {
  readonly ok: boolean
  readonly redis: string
  readonly scenarios: readonly ScenarioResult[]
  readonly crowd: CrowdResult
  readonly seconds: number
}

/** Far more than it takes; for when something hangs. */
const LIMIT_MS = 60_000
const LIMIT_PER_RUN_MS = 50

/**
 * Plays the demo, and leaves no process, folder or key behind however it ends: by itself, by an error, by a signal.
 * The exit code is 1 when something is not as it should be.
 */
export async function demo(cli: Cli, options: DemoOptions): Promise<void> {
  const { output } = cli
  const narrator = new Narrator(output)
  const interrupt = interruptible(output.gone)
  const began = performance.now()
  const { bold, dim, green, red, yellow } = narrator.paint
  narrator.say(`${bold('Procession demo')} ${dim('· real worker processes on a Redis of its own')}`)
  try {
    const stage = await openStage({
      settings: cli.settings,
      workers: options.workers,
      say: (line) => narrator.say(dim(`   ${line}`)),
      signal: interrupt.signal,
    })
    let played: Omit<Summary, 'seconds'>
    try {
      tellStage(stage, narrator)
      const limitMs = LIMIT_MS + options.runs * LIMIT_PER_RUN_MS
      played = await unlessStopped(play(stage, options, narrator, interrupt.signal), stage, interrupt.signal, limitMs)
    } finally {
      narrator.endProgress()
      await stage.close()
    }
    const summary: Summary = { ...played, seconds: Math.round(performance.now() - began) / 1_000 }
    const took = `in ${summary.seconds.toFixed(1)} s; no process and no file is left behind`
    narrator.say()
    narrator.say(summary.ok ? green(`All as it should be, ${took}.`) : red(`Not all is as it should be (${took}).`))
    if (output.json) output.show(summary, () => [])
    if (!summary.ok) cli.exitCode = EXIT.error
  } catch (error) {
    if (!interrupt.signal.aborted) throw error
    narrator.say()
    narrator.say(yellow('Interrupted; no process and no file is left behind.'))
    cli.exitCode = EXIT.interrupted
  } finally {
    interrupt.release()
  }
}

function tellStage({ redis, fleet }: Stage, narrator: Narrator): void {
  const { dim } = narrator.paint
  narrator.say(`   ${dim('redis  ')}  ${redis.source}, ${redis.address}`)
  narrator.say(`   ${dim('workers')}  ${fleet.pids.length} processes: ${fleet.pids.join(', ')}`)
}

async function play(
  stage: Stage,
  options: DemoOptions,
  narrator: Narrator,
  signal: AbortSignal,
): Promise<Omit<Summary, 'seconds'>> {
  for (const file of ['deploy.json', 'approval.json', 'data-pipeline.json'])
    await stage.store.register(JSON.parse(await readFile(new URL(file, EXAMPLES), 'utf8')))
  const scenarios: ScenarioResult[] = []
  for (const scenario of SCENARIOS) scenarios.push(await playScenario(stage.store, scenario, narrator, signal))
  const crowd = await playCrowd(stage, options.runs, narrator, signal)
  const ok = crowd.ok && scenarios.every((scenario) => scenario.ok)
  return { ok, redis: `${stage.redis.source} (${stage.redis.address})`, scenarios, crowd }
}

/** The play's result; rejects when it is interrupted, when its workers are lost, and when it takes far too long. */
async function unlessStopped<T>(playing: Promise<T>, stage: Stage, signal: AbortSignal, limitMs: number): Promise<T> {
  playing.catch(() => {}) // what it runs into when the stage is taken from under it
  let stop = () => {}
  const stopped = new Promise<never>((_, reject) => {
    const timer = setTimeout(
      () => reject(new CommandFailure('demo_timeout', `the demo did not end within ${limitMs / 1_000} s`)),
      limitMs,
    )
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    stop = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
  })
  try {
    return await Promise.race([playing, stage.failed, stopped])
  } finally {
    stop()
  }
}
