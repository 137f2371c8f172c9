/** How much of the machine others took over many trials: what says whether figures are to be trusted. */
import { loadavg } from 'node:os'
import { median, rounded } from './statistics.js'

/** For the settings of a report: the load average, and the shares of foreign CPU time of the trials, middle and worst. */
export function foreignLoadOf(
  trials: readonly { readonly foreignPercent: number | undefined }[],
): Record<string, unknown> {
  const shares = trials.map(({ foreignPercent }) => foreignPercent).filter((percent) => percent !== undefined)
  return {
    loadAverage: rounded(loadavg()[0]!),
    ...(shares.length > 0 && { foreignCpuPercent: { median: median(shares), worst: Math.max(...shares) } }),
  }
}
