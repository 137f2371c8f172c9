import fc from 'fast-check'
import { test } from 'vitest'
import { generatedCase } from './case.arbitrary.js'
import { judge } from './laws/laws.js'

test('x', () => {
  const t0 = performance.now()
  const cases = fc.sample(generatedCase, {
    seed: Number(process.env.SEED ?? 1),
    numRuns: Number(process.env.N ?? 3000),
  })
  const t1 = performance.now()
  const tally: Record<string, number> = {}
  const examples: Record<string, string> = {}
  let most = 0
  for (const [i, one] of cases.entries()) {
    try {
      const { played, faults } = judge(one)
      most = Math.max(most, played.fleet.run.history.length)
      for (const f of faults) {
        const k = f
          .replace(/\{.*\}|\[.*\]/g, '…')
          .replace(/\d+/g, 'N')
          .slice(0, 90)
        tally[k] = (tally[k] ?? 0) + 1
        const ex = `#${i} ${f}\n${played.fleet.run.history.map((e) => JSON.stringify(e)).join('\n')}`
        if (!examples[k] || ex.length < examples[k].length) examples[k] = ex
      }
    } catch (e) {
      const k = (e as Error).stack!.slice(0, 300)
      tally[k] = (tally[k] ?? 0) + 1
      examples[k] = `#${i}`
    }
  }
  console.log(t1 - t0, performance.now() - t1, most, tally)
  for (const [k, v] of Object.entries(examples)) console.log('==', k, '\n', v)
}, 100000)
