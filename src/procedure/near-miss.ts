/** Longer words get no suggestion: nobody mistypes them, and the cost of the comparison grows with the square. */
const MAX_CHARS = 40

/** What people write who know another system, and what they mean. */
const SYNONYMS: ReadonlyMap<string, string> = new Map([
  ['=', 'eq'],
  ['==', 'eq'],
  ['===', 'eq'],
  ['equals', 'eq'],
  ['!=', 'ne'],
  ['!==', 'ne'],
  ['neq', 'ne'],
  ['>', 'gt'],
  ['>=', 'gte'],
  ['ge', 'gte'],
  ['<', 'lt'],
  ['<=', 'lte'],
  ['le', 'lte'],
  ['includes', 'contains'],
  ['operator', 'op'],
  ['wait', 'sleep'],
  ['delay', 'sleep'],
  ['pass', 'noop'],
])

/**
 * The one of `candidates` that `word` was probably meant to be, or `undefined`: the same but for case, `_`, `-` and
 * spaces, else a known synonym, else the nearest within one edit (words of 3 or 4 characters) or two (longer ones).
 * An edit is a letter more, less or other, or two neighbours exchanged.
 */
export function nearestWord(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > MAX_CHARS) return undefined
  const bare = withoutStyle(word)
  const synonym = SYNONYMS.get(word)
  let nearest: string | undefined
  let distance = word.length < 3 ? 0 : word.length < 5 ? 1 : 2
  for (const candidate of candidates) {
    if (candidate === word || candidate.length > MAX_CHARS) continue
    if (candidate === synonym || withoutStyle(candidate) === bare) return candidate
    if (Math.abs(candidate.length - word.length) > distance) continue
    const edits = editsBetween(word, candidate, distance)
    if (edits < distance || (edits === distance && edits > 0 && nearest === undefined)) {
      nearest = candidate
      distance = edits
    }
  }
  return nearest
}

function withoutStyle(word: string): string {
  return word.replaceAll(/[_\-\s]/g, '').toLowerCase()
}

/**
 * Optimal string alignment distance (Levenshtein with exchanged neighbours), row by row; Infinity above `limit`.
 * Only the cells within `limit` of the diagonal are worked out: any other is above the limit.
 */
function editsBetween(a: string, b: string, limit: number): number {
  const far = Number.POSITIVE_INFINITY
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, column) => (column <= limit ? column : far))
  for (let row = 1; row <= a.length; row++) {
    const current = new Array<number>(b.length + 1).fill(far)
    if (row <= limit) current[0] = row
    for (let column = Math.max(1, row - limit); column <= Math.min(b.length, row + limit); column++) {
      const changed = a[row - 1] === b[column - 1] ? 0 : 1
      let edits = Math.min(above[column]! + 1, current[column - 1]! + 1, above[column - 1]! + changed)
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        edits = Math.min(edits, before[column - 2]! + 1)
      current[column] = edits
    }
    before = above
    above = current
  }
  return above[b.length]! <= limit ? above[b.length]! : far
}
