import type { TestNamespace } from '../support/fleet-in-process.js'
import { compilePackage, KillableProcess } from '../support/killable-process.js'
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
  const source = await compilePackage('test/conformance/fsm-script.ts')
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
  #process: KillableProcess | undefined
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
    this.#process = await KillableProcess.start(this.#program)
  }

  async kill(): Promise<void> {
    const running = this.#process
    this.#process = undefined
    this.#killsToCome--
    this.alive = false
    await running?.kill()
  }
}
