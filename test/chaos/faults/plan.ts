/**
 * The plan of the faults: which, at which point of the load's progress, and on whom. It follows from the settings alone, seed
 * included. A victim is a number in [0, 1): a place among those that are there when the fault strikes.
 */
import { seededRandom } from '../random.js'
import { type ChaosSettings, outlastsLock } from '../settings.js'

/**
 * What befalls a connection:
 *
 *     drop        closed on both sides, in order
 *     reset       RST on both sides
 *     cut_reply   a part of Redis's next bytes arrives, then nothing
 *     cut_request a part of the client's next bytes arrives, then nothing
 *     stall       bytes are held back, both ways, and arrive later
 *     half_open   Redis is gone without a FIN: the client's bytes vanish, no answer comes; an RST much later
 *     deaf        the same, and there is never an RST: the client has to give it up by itself
 *     ghost       the client is gone without a FIN: Redis still serves it, and takes jobs for it
 *     partition   half_open for every connection through the same gate, and for those that are made meanwhile
 *     slow        each way takes longer, for every connection through the same gate
 */
export const NETWORK_FAULTS = [
  ...['drop', 'reset', 'cut_reply', 'cut_request', 'stall', 'half_open', 'deaf', 'ghost', 'partition', 'slow'],
] as readonly NetworkFaultKind[]
export type NetworkFaultKind =
  | 'drop'
  | 'reset'
  | 'cut_reply'
  | 'cut_request'
  | 'stall'
  | 'half_open'
  | 'deaf'
  | 'ghost'
  | 'partition'
  | 'slow'

export interface NetworkFault {
  readonly kind: 'network'
  readonly how: NetworkFaultKind
  /** Which gate, and which of its connections. */
  readonly gate: number
  readonly connection: number
  readonly forMs: number
  /** Of a cut: the part of the bytes that arrives. Of a slow gate: its delay each way, as a part of the longest. */
  readonly share: number
}

/** How Redis stalls: its process is frozen, a script runs (and others are refused), or it holds back its clients' commands. */
export type RedisStallKind = 'frozen' | 'busy' | 'paused'

export type Fault =
  | { readonly kind: 'kill'; readonly victims: readonly number[] }
  | { readonly kind: 'stop'; readonly victim: number; readonly forMs: number }
  | { readonly kind: 'drain'; readonly victim: number }
  | { readonly kind: 'redis_kill'; readonly downMs: number }
  | { readonly kind: 'redis_stall'; readonly how: RedisStallKind; readonly forMs: number }
  | NetworkFault
  | { readonly kind: 'client_kill'; readonly connection: number }
  | { readonly kind: 'queue_pause'; readonly forMs: number }

export interface PlannedFault {
  /** Share of the load's executions that were begun when it strikes. */
  readonly at: number
  readonly fault: Fault
}

/** Between these shares of the load faults strike: it has begun, and there is enough left to be disturbed. */
const FIRST = 0.02
const LAST = 0.85
/** Share of the kills that take the whole fleet. */
const MASSACRE = 0.08
const LONGEST_DOWN_MS = 1_500
const LONGEST_PAUSE_MS = 1_500
/** A client gives up a connection that says nothing for so long, with room for its next try. */
const GIVEN_UP_MS = 12_000
const REDIS_STALLS: readonly RedisStallKind[] = ['busy', 'frozen', 'paused']

/** All faults, in the order in which they strike. */
export function plannedFaults(settings: ChaosSettings): PlannedFault[] {
  const random = seededRandom(settings.seed)
  const longMs = outlastsLock(settings)
  const makers: [count: number, make: (i: number) => Fault][] = [
    [settings.stops, () => ({ kind: 'stop', victim: random(), forMs: whole(longMs * (1 + random() / 2)) })],
    [settings.drains, () => ({ kind: 'drain', victim: random() })],
    [settings.redisKills, () => ({ kind: 'redis_kill', downMs: whole(100 + random() * LONGEST_DOWN_MS) })],
    [settings.redisStalls, (i) => redisStall(i, random, settings.lockDurationMs)],
    [settings.networkFaults, (i) => networkFault(i, random, longMs)],
    [settings.clientKills, () => ({ kind: 'client_kill', connection: random() })],
    [settings.queuePauses, () => ({ kind: 'queue_pause', forMs: whole(200 + random() * LONGEST_PAUSE_MS) })],
  ]
  const planned = makers.flatMap(([count, make]) =>
    spread(
      Array.from({ length: count }, (_, i) => make(i)),
      random,
    ),
  )
  return [...planned, ...spread(killings(settings, random), random)].toSorted((a, b) => a.at - b.at)
}

/** One fault in each of as many equal parts of the load, somewhere in it. */
function spread(faults: readonly Fault[], random: () => number): PlannedFault[] {
  return faults.map((fault, i) => {
    const share = (i + random()) / faults.length
    return { at: Math.round((FIRST + (LAST - FIRST) * share) * 10_000) / 10_000, fault }
  })
}

/** As many victims as there are to be kills. */
function killings({ kills, workers }: ChaosSettings, random: () => number): Fault[] {
  const faults: Fault[] = []
  for (let left = kills; left > 0; ) {
    const victims = Math.min(left, random() < MASSACRE ? workers : 1)
    faults.push({ kind: 'kill', victims: Array.from({ length: victims }, random) })
    left -= victims
  }
  return faults
}

/** Each kind in turn; up to twice as long as a lock lasts. */
function redisStall(i: number, random: () => number, lockMs: number): Fault {
  const how = REDIS_STALLS[i % REDIS_STALLS.length]!
  return { kind: 'redis_stall', how, forMs: whole(200 + random() * 2 * lockMs) }
}

/** Each kind in turn. */
function networkFault(i: number, random: () => number, longMs: number): NetworkFault {
  const how = NETWORK_FAULTS[i % NETWORK_FAULTS.length]!
  const forMs = whole(longMs * (0.25 + 1.25 * random()))
  return {
    ...{ kind: 'network', how, gate: random(), connection: random() },
    forMs: how === 'deaf' ? GIVEN_UP_MS : forMs,
    share: random(),
  }
}

const whole = Math.round
