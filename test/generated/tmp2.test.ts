import fc from 'fast-check'
import { test } from 'vitest'
import { generatedCase } from './case.arbitrary.js'
import { play } from './play.js'
import { compileProcedure } from '../../src/procedure/compile.js'
import { parseProcedure } from '../../src/procedure/validate.js'
test('x', () => {
  const time = (w: string, f: () => void) => { const t = performance.now(); f(); console.log(w, ((performance.now() - t) / 1000).toFixed(3), 'ms each') }
  for (let i = 0; i < 3; i++) {
  let cases = fc.sample(generatedCase, { seed: 1, numRuns: 1000 })
  time('gen', () => { cases = fc.sample(generatedCase, { seed: 1, numRuns: 1000 }) })
  time('parse', () => { for (const c of cases) parseProcedure(c.document) })
  time('compile', () => { for (const c of cases) compileProcedure(c.document as never) })
  time('play', () => { for (const c of cases) play(c) })
  }
}, 100000)
