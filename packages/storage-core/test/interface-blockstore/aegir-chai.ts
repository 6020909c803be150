// What the suite of interface-blockstore-tests takes of `aegir/chai`, without the build tool around it.
// Import it in test files of its own: `eventually` and `rejected` get in the way of vitest's `expect`.
import chaiAsPromised from 'chai-as-promised'
import { chai } from 'vitest'

chai.use(chaiAsPromised)

// There they are methods: `expect(found).to.be.true()`. chai-parentheses, which does that, does not work with chai 6.
for (const [name, holds] of [
  ['true', (value: unknown) => value === true],
  ['false', (value: unknown) => value === false],
  ['ok', Boolean],
] as const) {
  Reflect.deleteProperty(chai.Assertion.prototype, name)
  chai.Assertion.addMethod(name, function (this: Chai.AssertionStatic) {
    const value: unknown = chai.util.flag(this, 'object')
    this.assert(holds(value), `expected #{this} to be ${name}`, `expected #{this} not to be ${name}`, undefined)
  })
}

export const expect: Chai.ExpectStatic = chai.expect
