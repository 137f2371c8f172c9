/** A finite number as `digits` times ten to the power of `exponent`, exactly as JSON writes it. */
interface Decimal {
  readonly digits: bigint
  readonly exponent: number
}

/**
 * Whether `value` is a whole number of times `factor` (above 0), as decimals: 0.3 is a multiple of 0.1, which binary
 * fractions would deny. Numbers have at most about 650 digits on either side of the point, so the cost is bounded.
 */
export function isMultipleOf(value: number, factor: number): boolean {
  if (!Number.isFinite(value)) return false
  // The remainder of whole numbers is exact.
  if (Number.isInteger(value) && Number.isInteger(factor)) return value % factor === 0
  const dividend = decimalOf(value)
  const divisor = decimalOf(factor)
  const shift = dividend.exponent - divisor.exponent
  if (shift >= 0) return (dividend.digits * 10n ** BigInt(shift)) % divisor.digits === 0n
  return dividend.digits % (divisor.digits * 10n ** BigInt(-shift)) === 0n
}

function decimalOf(value: number): Decimal {
  const [mantissa = '0', exponent = '0'] = String(Math.abs(value)).split('e')
  const [whole = '0', fraction = ''] = mantissa.split('.')
  return { digits: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length }
}
