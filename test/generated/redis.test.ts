/**
 * Some hundreds of the generated cases once more on real Redis with real workers, side by side: the same path, context, calls,
 * answers and history as in virtual time. Which ones: `settings.ts`. A case whose order hangs on less than about a tenth of a
 * second is not among them.
 *
 * When they differ while the machine was held up, the time to spare may have been too short: then the case is played once
 * more, slower and with fewer beside it. A difference on an undisturbed machine, or in the last round, is a failure.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { turnstile } from '../conformance/turnstile.js'
import { NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { waitUntil } from '../support/processes.js'
import { slowed } from './case-time.js'
import { type ChosenCase, chooseCases, EXAMPLES } from './choice.js'
import { differences, earlyTimers, linesOf } from './compare.js'
import { CALM_TRAITS } from './distribution.js'
import { HoldUps } from './hold-ups.js'
import { PINNED } from './pinned.js'
import { play } from './play.js'
import { RealFleet } from './play-on-redis.js'
import { SETTINGS } from './settings.js'

/** How many cases at a time, and how many times as slow. */
const ROUNDS = [
  { atOnce: 32, slower: 1 },
  { atOnce: 20, slower: 2 },
  { atOnce: 5, slower: 4 },
] as const
/** Between one start and the next, ms: all of them in one moment would hold up each other. */
const PACE_MS = 5
/** A hold-up that is no longer than this excuses nothing: there is more time than that between any two things. */
const UNDISTURBED_MS = 80

// Before anything is connected: choosing takes seconds, in which no reply could be read.
const { seeds, casesPerSeed, onRedis } = SETTINGS
const { chosen, distribution } = chooseCases(seeds, casesPerSeed, onRedis)
const cases: readonly ChosenCase[] = [...Object.entries(PINNED).map(([title, one]) => ({ title, one })), ...chosen]

const ns = await openTestNamespace('generated')
const fleet = new RealFleet(ns.store)
const holdUps = new HoldUps(ns.client)

interface Verdict {
  readonly which: ChosenCase
  /** Everything about the difference, in words; undefined when there is none. */
  readonly fault?: string
  readonly heldUpMs: number
}

/** Plays a case both ways and compares. */
async function verdictOn(which: ChosenCase, round: number): Promise<Verdict> {
  const { slower } = ROUNDS[round]!
  const key = `${cases.indexOf(which)}-${round}`
  const slow = slowed(which.one, slower)
  // Times that no document names, like a backoff by default, stay as they are, and may now be too near to others.
  const one = play(slow).slackMs >= 0 ? slow : which.one
  const named = { ...one, document: { ...one.document, name: `generated ${key}` } }
  const virtual = play(named, { runId: `run-${key}` })
  await ns.store.register(named.document)
  const start = performance.now()
  const real = await fleet.play(virtual)
  const faults = [...differences(virtual, real), ...earlyTimers(virtual, real)]
  const heldUpMs = holdUps.worstSince(start)
  if (faults.length === 0) return { which, heldUpMs }
  const histories = `virtual:\n${linesOf(virtual.fleet.run.history)}\nRedis:\n${linesOf(real.history)}`
  const head = `${which.title}, round ${round + 1}, held up for ${Math.round(heldUpMs)} ms`
  return { which, heldUpMs, fault: `${head}:\n${faults.join('\n')}\n${histories}\n${JSON.stringify(named)}` }
}

async function playRound(those: readonly ChosenCase[], round: number): Promise<Verdict[]> {
  const enter = turnstile(ROUNDS[round]!.atOnce)
  const verdicts: Promise<Verdict>[] = []
  for (const which of those) {
    const verdict = enter(() => verdictOn(which, round))
    verdict.catch(() => {}) // told at the end, with all the others
    verdicts.push(verdict)
    await delay(PACE_MS)
  }
  return Promise.all(verdicts)
}

/** A case takes a second on average, and some are played three times. */
const ALL_MS = 120_000 + 200 * onRedis

const stop = new AbortController()
let watching: Promise<unknown> = Promise.resolve()

beforeAll(async () => {
  watching = Promise.all([fleet.watch(stop.signal), holdUps.watch(stop.signal)])
  for (const name of ['one', 'two']) await ns.startWorker(fleet.actions(), { concurrency: 500, name })
})

afterAll(async () => {
  stop.abort()
  await watching
})

describe('generated procedures on Redis', () => {
  test('are of every kind', () => {
    expect(chosen.length).toBeGreaterThanOrEqual(Math.min(onRedis, (seeds.length * casesPerSeed) / 3))
    if (SETTINGS.table) console.log(distribution.table())
    if (seeds.length * casesPerSeed < 5_000) return
    const rare = CALM_TRAITS.filter((name) => distribution.count(name) < EXAMPLES)
    expect(rare, distribution.table()).toStrictEqual([])
  })

  test(
    'take the same path to the same end, by the same history, as in virtual time',
    async () => {
      let left = cases
      for (let round = 0; round < ROUNDS.length && left.length > 0; round++) {
        const differing = (await playRound(left, round)).filter(({ fault }) => fault !== undefined)
        const last = round === ROUNDS.length - 1
        const failed = differing.filter(({ heldUpMs }) => last || heldUpMs <= UNDISTURBED_MS)
        if (failed.length > 0)
          throw new Error(
            `${failed.length} of ${left.length} cases differ:\n\n${failed.map(({ fault }) => fault).join('\n\n')}`,
          )
        left = differing.map(({ which }) => which)
        if (left.length > 0) console.warn(`${left.length} cases were held up, and are played again, slower`)
      }
    },
    ALL_MS,
  )

  test('leave nothing in queues and timers', async () => {
    await waitUntil('the last jobs to leave', async () => (await ns.leftovers()).active === 0)
    expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
  })
})
