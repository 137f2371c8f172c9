const MAX_CHARS = 80

/**
 * `value` as JSON text for a message, cut to 80 characters; what is no JSON is named ("a function").
 * The cost is bounded by the length of the text, not by the size of the value, and a cycle does no harm.
 */
export function showValue(value: unknown): string {
  const text = write(value, MAX_CHARS)
  return text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS - 1)}…` : text
}

/** Text of `value`: complete when it fits into `room` characters, else some beginning that is longer than that. */
function write(value: unknown, room: number): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > room ? value.slice(0, room) : value)
    case 'object':
      if (value === null) return 'null'
      return Array.isArray(value) ? writeArray(value, room) : writeObject(value, room)
    case 'number':
    case 'boolean':
    case 'undefined':
      return String(value)
    default:
      return `a ${typeof value}`
  }
}

function writeArray(items: readonly unknown[], room: number): string {
  let text = '['
  for (const item of items) {
    if (text.length > room) break
    text += `${text === '[' ? '' : ','}${write(item, room - text.length)}`
  }
  return `${text}]`
}

function writeObject(value: object, room: number): string {
  let text = '{'
  for (const key in value) {
    if (text.length > room) break
    if (!Object.hasOwn(value, key)) continue
    text += `${text === '{' ? '' : ','}${write(key, room)}:`
    text += write((value as Record<string, unknown>)[key], room - text.length)
  }
  return `${text}}`
}
