import fc from 'fast-check'
import { test } from 'vitest'
import { isDeepStrictEqual } from 'node:util'
import { told } from '../support/memory-run.js'
import { generatedCase } from './case.arbitrary.js'
import { play } from './play.js'
test('x', () => {
  const t0 = performance.now()
  const cases = fc.sample(generatedCase, { seed: 1, numRuns: 3000 })
  const t1 = performance.now()
  const tally: Record<string, number> = {}
  const add = (k: string, n = 1) => (tally[k] = (tally[k] ?? 0) + n)
  let errors = 0
  for (const one of cases) {
    try {
      const p = play(one)
      add(`rest ${p.rest}`)
      add(p.fleet.run.record.status)
      add('entries', p.fleet.run.history.length)
      add('steps', p.steps.length)
      if (p.slackMs >= 0) add('slack ok')
      if (p.slackMs >= 0) add('ok ms', p.fleet.run.now - p.startedAt)
      for (const s of p.steps) add(`step ${s.request.do} ${'refused' in s.answer ? s.answer.refused : 'event' in s.answer ? (s.answer.event.reason ?? (s.answer.event.buffered ? 'buffered' : 'taken')) : 'ok'}`)
      if (!isDeepStrictEqual(p.fleet.run.replayed(), told(p.fleet.run.record))) { if ((tally.REPLAY??0) < 3) console.log(JSON.stringify(p.fleet.run.replayed()), JSON.stringify(told(p.fleet.run.record)), JSON.stringify(p.fleet.run.history)); add('REPLAY') }
    } catch (e) { if (errors++ < 5) console.log((e as Error).stack); add('error') }
  }
  console.log(t1 - t0, performance.now() - t1, tally)
}, 100000)
