/** What stands under a command's options: how it is called. */
export function example(...lines: readonly string[]): string {
  return ['', 'Example:', ...lines.map((line) => `  ${line}`)].join('\n')
}
