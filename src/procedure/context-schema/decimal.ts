/** A finite number as `digits` times ten to the power of `exponent`, exactly as JSON writes it. */
interface Decimal {
  /** At most 21 digits. */
  readonly digits: bigint
  readonly exponent: number
}

/** More digits than any number is written with, apart from zeros. */
const MAX_DIGITS = 21

/**
 * Whether `value` is a whole number of times `factor` (above 0), as decimals: 0.3 is a multiple of 0.1, which binary
 * fractions would deny. However far apart the two are, no number of more than some 40 digits is ever worked out.
 */
export function isMultipleOf(value: number, factor: number): boolean {
  if (!Number.isFinite(value)) return false
  // The remainder of whole numbers is exact, as long as they are written out.
  if (Number.isSafeInteger(value) && Number.isSafeInteger(factor)) return value % factor === 0
  const dividend = decimalOf(value)
  const divisor = decimalOf(factor)
  const shift = dividend.exponent - divisor.exponent
  if (shift >= 0) return (dividend.digits * powerOfTen(shift, divisor.digits)) % divisor.digits === 0n
  // Beyond that the divisor is the larger of the two.
  if (-shift > MAX_DIGITS) return dividend.digits === 0n
  return dividend.digits % (divisor.digits * 10n ** BigInt(-shift)) === 0n
}

function decimalOf(value: number): Decimal {
  const [mantissa = '0', exponent = '0'] = String(Math.abs(value)).split('e')
  const [whole = '0', fraction = ''] = mantissa.split('.')
  return { digits: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length }
}

/** Ten to the power of `exponent` modulo `modulus`, by squaring. */
function powerOfTen(exponent: number, modulus: bigint): bigint {
  let power = 1n
  let square = 10n % modulus
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) power = (power * square) % modulus
    square = (square * square) % modulus
  }
  return power
}
