import { library } from '../../tooling/tsup.ts'

export default library({
  entry: ['src/index.ts', 'src/helia.ts', 'src/webrtc.ts', 'src/libp2p/platform-node.ts', 'src/libp2p/platform-web.ts'],
  // Resolved where the package is used, by Node or by a page's bundler.
  external: ['#platform', /^node:/],
})
