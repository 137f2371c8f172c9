import { beforeAll, expect, test } from 'vitest'
import { openTestNamespace } from '../support/fleet-in-process.js'
import { allStories, CheckedRuns } from './checker/checked-runs.js'
const runs = new CheckedRuns(await openTestNamespace('laws'))
beforeAll(() => runs.play(allStories(runs)), 60_000)
test('healthy', () => {
  for (const name of runs.names) {
    const found = runs.damaged(name)
    if (found.length) console.log(name, found)
    if (process.env.SHOW === name || process.env.SHOW === 'all') runs.damaged(name, (p) => { console.log(name); for (const e of p.entries) console.log(JSON.stringify(e)); console.log(p.hash, p.answers) })
  }
})
