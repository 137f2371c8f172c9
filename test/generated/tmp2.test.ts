import fc from 'fast-check'
import { test } from 'vitest'
import { generatedCase } from './case.arbitrary.js'
import { play } from './play.js'

test('x', () => {
  const cases = fc.sample(generatedCase, { seed: 3, numRuns: 2000 })
  const hist: Record<string, number> = {},
    sum = { states: 0, visits: 0, entries: 0, steps: 0, ms: 0 }
  const why: Record<string, number> = {}
  for (const c of cases) {
    const p = play(c)
    const h = p.fleet.run.history
    const v = h.filter((e) => e.state && e.revision && e.type !== 'discarded').length
    hist[v] = (hist[v] ?? 0) + 1
    sum.states += Object.keys((c.document.definition as any).states).length
    sum.visits += v
    sum.entries += h.length
    sum.steps += p.steps.length
    sum.ms += p.fleet.run.now - p.startedAt
    const w =
      h.find(
        (e) =>
          ['failed', 'rollback_started', 'cancelled', 'finished'].includes(e.type) ||
          e.status === 'completed' ||
          e.status === 'failed',
      ) ?? h.at(-1)!
    const k = `${w.type} ${w.source ?? ''} ${w.error ? (w.error.code.startsWith('E_') ? 'E' : w.error.code) : ''} ${w.reason ?? ''}`
    why[k] = (why[k] ?? 0) + 1
  }
  console.log(
    hist,
    sum,
    Object.entries(why).sort((a, b) => b[1] - a[1]),
  )
}, 100000)
