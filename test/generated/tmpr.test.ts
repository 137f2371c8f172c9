import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { turnstile } from '../conformance/turnstile.js'
import { NOTHING_LEFT, openTestNamespace } from '../support/fleet-in-process.js'
import { generatedCase, isCalm } from './case.arbitrary.js'
import { differences, linesOf } from './compare.js'
import { play } from './play.js'
import { RealFleet } from './play-on-redis.js'

const ns = await openTestNamespace('generated')
test('x', async () => {
  const N = Number(process.env.N ?? 100)
  const cases = fc.sample(generatedCase, { seed: 1, numRuns: 3000 })
  const fleet = new RealFleet(ns.store)
  const stop = new AbortController()
  const watching = fleet.watch(stop.signal)
  await ns.startWorker(fleet.actions(), { concurrency: 1000 })
  const virtuals = []
  for (const [i, one] of cases.entries()) {
    if (virtuals.length >= N) break
    const named = { ...one, document: { ...one.document, name: `generated ${i}` } }
    if (!isCalm(one)) continue
    const v = play(named, `g-1-${i}`)
    if (v.slackMs < 0 || v.fleet.run.now - v.startedAt > 6000) continue
    virtuals.push(v)
  }
  console.log(virtuals.length)
  const t0 = performance.now()
  const c0 = process.cpuUsage()
  const enter = turnstile(Number(process.env.ATONCE ?? 100))
  let bad = 0
  await Promise.all(
    virtuals.map((v) =>
      enter(async () => {
        try {
          await ns.store.register(v.played.document)
          const real = await fleet.play(v)
          const d = differences(v, real)
          if (d.length > 0 && bad++ < 10)
            console.log(
              v.fleet.run.record.id,
              d.join('\n'),
              '\nvirtual\n' + linesOf(v.fleet.run.history),
              '\nreal\n' + linesOf(real.history),
            )
        } catch (e) {
          if (bad++ < 10)
            console.log(
              v.fleet.run.record.id,
              (e as Error).message,
              linesOf(v.fleet.run.history),
              '\nreal\n' + linesOf(await ns.history(v.fleet.run.record.id).catch(() => [])),
            )
        }
      }),
    ),
  )
  const c = process.cpuUsage(c0)
  console.log('bad', bad, 'of', virtuals.length, performance.now() - t0, 'cpu', (c.user + c.system) / 1000)
  stop.abort()
  await watching
  expect(await ns.leftovers()).toStrictEqual(NOTHING_LEFT)
}, 100000)
