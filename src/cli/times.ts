const two = (value: number): string => String(value).padStart(2, '0')

/** Local time of day with milliseconds: `21:33:12.103`. */
export function timeOfDay(ms: number): string {
  const date = new Date(ms)
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')
  return `${clock}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

/** Local date and time: `2026-11-21 21:33:12`. */
export function dateAndTime(ms: number): string {
  const date = new Date(ms)
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-')
  return `${day} ${timeOfDay(ms).slice(0, 8)}`
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
] as const

/** A duration as people say it: `12 ms`, `1.25 s`, `2 min 5 s`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`
  const at = UNITS.findIndex(([, size]) => ms >= size)
  const [unit, size] = UNITS[at]!
  const [smallerUnit, smallerSize] = UNITS[at + 1] ?? (['s', 1_000] as const)
  const rest = Math.floor((ms % size) / smallerSize)
  return `${Math.floor(ms / size)} ${unit}${rest > 0 ? ` ${rest} ${smallerUnit}` : ''}`
}

/** The same in its largest unit alone, for narrow columns: `1.25 s`, `2 min`, `3 d`. */
export function shortDuration(ms: number): string {
  return ms < 60_000 ? duration(ms) : roughly(ms)
}

/** How long ago something was, roughly: `5 s ago`, `3 h ago`. Clocks may differ, so the future is `now`. */
export function ago(ms: number, now = Date.now()): string {
  const past = now - ms
  return past < 1_000 ? 'now' : `${roughly(past)} ago`
}

/** How long until something, roughly: `in 5 s`, `in 3 h`. What should have been is `now`. */
export function ahead(ms: number, now = Date.now()): string {
  const left = ms - now
  return left < 1_000 ? 'now' : `in ${roughly(left)}`
}

function roughly(ms: number): string {
  const unit = UNITS.find(([, size]) => ms >= size)
  return unit ? `${Math.floor(ms / unit[1])} ${unit[0]}` : `${Math.floor(ms / 1_000)} s`
}
