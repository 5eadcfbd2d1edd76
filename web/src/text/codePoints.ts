/** Offsets of the contracts count Unicode code points; JavaScript's strings count UTF-16 units. These two turn one into the other. */

/** The UTF-16 index of a code point offset. Offsets beyond the end give the length. */
export function utf16Index(text: string, offset: number): number {
  let index = 0;
  for (let passed = 0; passed < offset && index < text.length; passed += 1) {
    index += text.codePointAt(index)! > 0xffff ? 2 : 1;
  }
  return index;
}

/** How many code points a text has. */
export function codePointLength(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
