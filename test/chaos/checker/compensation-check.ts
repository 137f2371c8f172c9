/**
 * Holds what compensations did against the stays of a run: a compensation ran for the visit that the history says it undoes,
 * and for no other; none began before one that comes before it. How often each ran is `effect-check`'s to judge.
 */
import type { Effect } from '../effects.js'
import { parseIdempotencyKey } from './formats.js'
import { type Problem, problem } from './problems.js'
import type { Stay } from './stays.js'

export function checkCompensations(
  runId: string,
  stays: ReadonlyMap<number, Stay>,
  done: ReadonlyMap<number, ReadonlyMap<number, readonly Effect[]>>,
): Problem[] {
  const problems: Problem[] = []
  let [last, lastBegan] = [0, 0]
  for (const { revision, undoes } of [...stays.values()].toSorted((a, b) => a.revision - b.revision)) {
    const effects = [...(done.get(revision)?.values() ?? [])].flat()
    for (const effect of effects) problems.push(...checkWhat(runId, revision, undoes?.revision, effect))
    if (!undoes || effects.length === 0) continue
    // A process that was frozen may begin long after: what counts is who began first.
    const began = Math.min(...effects.map((effect) => effect.at))
    if (began < lastBegan)
      problems.push(
        problem(
          'reordered',
          runId,
          `compensation ${revision} began ${lastBegan - began} ms before compensation ${last}`,
        ),
      )
    ;[last, lastBegan] = [revision, began]
  }
  return problems
}

function checkWhat(runId: string, revision: number, expected: number | undefined, { undoes }: Effect): Problem[] {
  const undone = undoes === undefined ? undefined : parseIdempotencyKey(undoes)
  if (undone?.revision === expected && (undone === undefined || undone.runId === runId)) return []
  const what = undoes === undefined ? 'an action ran' : `a compensation of ${undoes} ran`
  const told = expected === undefined ? 'undoes nothing' : `undoes revision ${expected}`
  return [problem('reordered', runId, `${what} as revision ${revision}, which ${told}`)]
}
