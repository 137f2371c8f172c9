import fc from 'fast-check'
import { test } from 'vitest'
import { generatedCase, isCalm } from './case.arbitrary.js'
import { Distribution } from './distribution.js'
import { play } from './play.js'

test('x', () => {
  const N = Number(process.env.N ?? 3000)
  const cases = fc.sample(generatedCase, { seed: Number(process.env.SEED ?? 1), numRuns: N })
  const d = new Distribution(),
    r = new Distribution()
  for (const one of cases) {
    const p = play(one)
    d.add(p)
    if (!isCalm(one)) continue
    if (p.slackMs < 0 || p.fleet.run.now - p.startedAt > 6000) continue
    r.add(p)
  }
  const a = d.table().split('\n'),
    b = r.table().split('\n')
  console.log(a.map((l, i) => `${b[i]!.slice(0, 11)} ${l}`).join('\n'))
  console.log(d.shortages('virtual').join('\n'), '\n--\n', r.shortages('redis').join('\n'))
}, 100000)
