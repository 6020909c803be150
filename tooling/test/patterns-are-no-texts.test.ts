import { expect, it } from 'vitest'

it('refuses to compare a text with a pattern, which could not fail', () => {
  const error = { message: 'one', causes: [{ message: 'two' }] }
  for (const wanted of [{ message: /one/ }, { causes: [{ message: /other/ }] }]) {
    expect(() => expect(error).toMatchObject(wanted)).toThrow('write expect.stringMatching(/')
  }
  expect(error).toMatchObject({ message: expect.stringMatching(/^one$/) })
  expect({ pattern: /a/ }).toEqual({ pattern: /a/ })
})
