/// Time and chance, as start-up, crossing, migration and recovery ask for them.
///
/// Bound to the task: the simulator gives its own, so that the very same code runs there in virtual time, and in the same
/// way each time.

package import VarveCore
package import VarveModel

package struct Means: Sendable {
    /// Waits so long; false when it was interrupted.
    package var wait: @Sendable (Duration) async -> Bool
    /// A monotonic clock.
    package var elapsed: @Sendable () -> Duration
    package var makeID: @Sendable () -> Bytes16
    /// Between two calls of a procedure that waits for nothing: others come between here, and the process may die.
    package var breathe: @Sendable () async -> Void

    package init(
        wait: @escaping @Sendable (Duration) async -> Bool, elapsed: @escaping @Sendable () -> Duration,
        makeID: @escaping @Sendable () -> Bytes16, breathe: @escaping @Sendable () async -> Void = {}
    ) {
        self.wait = wait
        self.elapsed = elapsed
        self.makeID = makeID
        self.breathe = breathe
    }

    @TaskLocal package static var current = Means.process

    private static let began = ContinuousClock.now

    package static let process = Means(
        wait: { (try? await Task.sleep(for: $0)) != nil }, elapsed: { ContinuousClock.now - began },
        makeID: {
            var generator = SystemRandomNumberGenerator()
            return .random(using: &generator)
        })

    package static func wait(_ duration: Duration) async -> Bool { await current.wait(duration) }
    package static var elapsed: Duration { current.elapsed() }
    package static func makeID() -> Bytes16 { current.makeID() }
    package static func breathe() async { await current.breathe() }
}

extension Liveness {
    /// Watches other nodes' heartbeats until each is known to be alive or not, or until one is such that the others do not
    /// matter; nil when it was interrupted.
    package static func watch(
        from own: String, until isEnough: (Peer) -> Bool = { _ in false },
        _ heartbeats: () throws(VarveError) -> [(node: String, bytes: Bytes)]
    ) async throws(VarveError) -> [Peer]? {
        let start = Means.elapsed
        var liveness = Liveness(own: own)
        while true {
            liveness.observe(try heartbeats(), now: (Means.elapsed - start).milliseconds)
            if liveness.isDecided || liveness.peers.contains(where: isEnough) { return liveness.peers }
            guard await Means.wait(.milliseconds(500)) else { return nil }
        }
    }
}
