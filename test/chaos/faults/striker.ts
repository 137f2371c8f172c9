/**
 * Strikes the planned faults, each when the load has come so far, and notes what they can explain. A fault that lasts does not
 * keep the next one waiting, but for the end of Redis: there is only one.
 */
import type { Disturbance } from '../checker/effect-check.js'
import { machineMs } from '../effects.js'
import type { ChaosFleet } from '../fleet.js'
import type { Progress } from '../progress.js'
import type { ChaosSettings } from '../settings.js'
import type { Gate } from './network.js'
import type { Fault, NetworkFault, PlannedFault } from './plan.js'
import type { RedisFaults } from './redis-faults.js'

/** What faults strike. */
export interface Targets {
  readonly fleet: ChaosFleet
  /** One for each place in the fleet, then that of the callers. */
  readonly gates: readonly Gate[]
  readonly redis: RedisFaults
  readonly progress: Progress
}

export class Striker {
  /** Faults that struck, by kind. */
  readonly struck: Record<string, number> = {}
  readonly disturbances: Disturbance[] = []
  /** Faults that could not be carried out. */
  readonly surprises: string[] = []
  readonly #targets: Targets
  readonly #settings: ChaosSettings
  readonly #plan: readonly PlannedFault[]
  readonly #lasting = new Set<Promise<void>>()
  #next = 0

  constructor(targets: Targets, settings: ChaosSettings, plan: readonly PlannedFault[]) {
    this.#targets = targets
    this.#settings = settings
    this.#plan = plan
  }

  /** Share of the load at which the next fault is due; beyond 1 when all have struck. */
  get nextAt(): number {
    return this.#plan[this.#next]?.at ?? 2
  }

  /** Strikes all of them; resolves when they are over. Less when the load stands still. */
  async strike(): Promise<void> {
    const { progress } = this.#targets
    for (; this.#next < this.#plan.length; this.#next++) {
      const { at, fault } = this.#plan[this.#next]!
      if (!(await progress.until(() => progress.share >= at))) break
      const lasting = this.#strikeOne(fault)
        .catch((error: Error) => void this.surprises.push(`${fault.kind}: ${error.message}`))
        .finally(() => this.#lasting.delete(lasting))
      this.#lasting.add(lasting)
      if (isForAll(fault)) await lasting
    }
    await Promise.all(this.#lasting)
  }

  async #strikeOne(fault: Fault): Promise<void> {
    const { fleet, redis } = this.#targets
    switch (fault.kind) {
      case 'kill':
        await fleet.awake(fault.victims.length === 1 ? this.#most() : fault.victims.length)
        for (const victim of fault.victims) fleet.kill(victim)
        break
      case 'stop':
        await fleet.awake(this.#most())
        fleet.freeze(fault.victim, fault.forMs)
        break
      case 'drain':
        await fleet.awake(this.#most())
        fleet.drain(fault.victim)
        break
      case 'redis_kill':
        await this.#during('redis_kill', () => redis.kill(fault.downMs))
        break
      case 'redis_stall':
        await this.#during(`redis_stall ${fault.how}`, () => redis.stall(fault.how, fault.forMs))
        break
      case 'client_kill':
        await this.#killClient(fault.connection)
        break
      case 'queue_pause':
        await redis.pauseQueue(fault.forMs)
        break
      case 'network':
        this.#strikeNetwork(fault)
    }
    const name = fault.kind === 'network' ? `network ${fault.how}` : fault.kind
    this.struck[name] = (this.struck[name] ?? 0) + (fault.kind === 'kill' ? fault.victims.length : 1)
  }

  /** So many processes must be at work before one is struck down: half of them. */
  #most(): number {
    return Math.ceil(this.#settings.workers / 2)
  }

  async #during(what: string, happens: () => Promise<void>): Promise<void> {
    const at = machineMs()
    await happens()
    this.disturbances.push({ what, at, until: machineMs() })
  }

  #strikeNetwork(fault: NetworkFault): void {
    const { gates, fleet } = this.#targets
    const used = gates.filter((gate) => gate.isUsed)
    const gate = used[Math.floor(fault.gate * used.length)]
    if (!gate) return
    gate.strike(fault)
    this.#note(`network ${fault.how}`, fleet.pidOf(gates.indexOf(gate)), fault.forMs)
  }

  async #killClient(chance: number): Promise<void> {
    const { gates, fleet, redis } = this.#targets
    const client = await redis.someClient(chance)
    if (!client) return
    this.#note('client_kill', fleet.pidOf(gates.findIndex((gate) => gate.comesFrom(client.port))), 0)
    await redis.killClient(client.id)
  }

  /** One process was struck just now; the callers are none. */
  #note(what: string, pid: number | undefined, forMs: number): void {
    const at = machineMs()
    if (pid !== undefined) this.disturbances.push({ what, pid, at, until: at + forMs })
  }
}

/** Whether the next fault waits for its end: a process that is to be struck must be there first. */
function isForAll({ kind }: Fault): boolean {
  return kind === 'redis_kill' || kind === 'kill' || kind === 'stop' || kind === 'drain'
}
