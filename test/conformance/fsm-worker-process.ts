import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { compileSource } from '../support/compiled.js'
import type { TestNamespace } from '../support/fleet-in-process.js'
import type { WorkerProcess } from './fsm-on-redis.js'
import { type ScriptedCase, scriptedActions } from './fsm-script.js'

/** Short, so that the jobs of a killed worker are taken up soon; not so short that a busy machine counts as a death. */
const LOCK_MS = 1_500
const STALLED_MS = 400

/** The compiled source that worker processes run. */
export interface WorkerSource {
  /** The worker of a case that kills it `kills` times, not started yet. */
  workerOf(ns: TestNamespace, scripted: ScriptedCase, kills: number): WorkerProcess
  remove(): Promise<void>
}

/** Compiles the package and the scripted actions for worker processes. */
export async function compileWorkerSource(): Promise<WorkerSource> {
  const source = await compileSource('src/index.ts', 'test/conformance/fsm-script.ts')
  const lua = fileURLToPath(new URL('../../src/queue/lua', import.meta.url))
  await cp(lua, fileURLToPath(new URL('lua', source.urlOf('src/queue/bullmq-scripts.ts'))), { recursive: true })
  const started: KillableWorker[] = []
  return {
    workerOf(ns, scripted, kills) {
      const timing = { lockDuration: LOCK_MS, stalledInterval: STALLED_MS }
      const settings = { connection: ns.url, prefix: ns.prefix, ...timing }
      const survivor = () => ns.startWorker(scriptedActions(ns.client, [scripted]), timing)
      const program = `
        const { Redis } = await import('ioredis')
        const { ProcedureWorker } = await import(${JSON.stringify(source.urlOf('src/index.ts'))})
        const { scriptedActions } = await import(${JSON.stringify(source.urlOf('test/conformance/fsm-script.ts'))})
        const write = () => {}
        const logger = { debug: write, info: write, warn: write, error: write }
        const actions = scriptedActions(new Redis(${JSON.stringify(ns.url)}), [${JSON.stringify(scripted)}])
        await new ProcedureWorker({ ...${JSON.stringify(settings)}, actions, logger }).start()
        console.log('ready')`
      const worker = new KillableWorker(program, kills, survivor)
      started.push(worker)
      return worker
    },
    async remove() {
      await Promise.all(started.map((worker) => worker.kill()))
      await source.remove()
    },
  }
}

/** Processes that run `program`, one after the other until each is killed; then the survivor, in the test's own process. */
class KillableWorker implements WorkerProcess {
  readonly #program: string
  readonly #survivor: () => Promise<unknown>
  #killsToCome: number
  #child: ChildProcess | undefined
  alive = false

  constructor(program: string, kills: number, survivor: () => Promise<unknown>) {
    this.#program = program
    this.#killsToCome = kills
    this.#survivor = survivor
  }

  async start(): Promise<void> {
    if (this.alive) return
    this.alive = true
    if (this.#killsToCome === 0) {
      await this.#survivor()
      return
    }
    const child = spawn(process.execPath, ['--input-type=module', '-e', this.#program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#child = child
    await Promise.race([
      once(createInterface(child.stdout), 'line'),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`the worker process ended with code ${code}`))),
    ])
  }

  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    this.#killsToCome--
    this.alive = false
    if (!child || child.exitCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
}
