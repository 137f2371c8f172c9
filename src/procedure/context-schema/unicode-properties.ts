/** The general categories of Unicode as RE2 calls them, each with the other names that ECMAScript has for it. */
const CATEGORY_NAMES = `
  C Other, Cc Control cntrl, Cf Format, Cn Unassigned, Co Private_Use, Cs Surrogate,
  L Letter, LC Cased_Letter, Ll Lowercase_Letter, Lm Modifier_Letter, Lo Other_Letter, Lt Titlecase_Letter,
  Lu Uppercase_Letter, M Mark Combining_Mark, Mc Spacing_Mark, Me Enclosing_Mark, Mn Nonspacing_Mark,
  N Number, Nd Decimal_Number digit, Nl Letter_Number, No Other_Number, P Punctuation punct,
  Pc Connector_Punctuation, Pd Dash_Punctuation, Pe Close_Punctuation, Pf Final_Punctuation,
  Pi Initial_Punctuation, Po Other_Punctuation, Ps Open_Punctuation, S Symbol, Sc Currency_Symbol,
  Sk Modifier_Symbol, Sm Math_Symbol, So Other_Symbol, Z Separator, Zl Line_Separator, Zp Paragraph_Separator,
  Zs Space_Separator, Assigned`

/** RE2's name of a general category by each of ECMAScript's names for it (ECMA-262, `PropertyValueAliases.txt`). */
export const CATEGORIES: ReadonlyMap<string, string> = new Map(
  CATEGORY_NAMES.split(',').flatMap((names) => {
    const [re2Name = '', ...others] = names.trim().split(/\s+/)
    return [re2Name, ...others].map((name) => [name, re2Name] as const)
  }),
)

/**
 * RE2's name of a script by its long name in ECMAScript, which is the same; `undefined` for what cannot be one.
 * RE2 itself refuses a script that does not exist, and the abbreviations (`Grek`), which it does not know.
 */
export function scriptOf(name: string): string | undefined {
  if (name.length < 3 || name === 'Any' || name === 'Ascii' || CATEGORIES.has(name)) return undefined
  return name
}
