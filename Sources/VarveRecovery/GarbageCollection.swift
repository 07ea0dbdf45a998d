/// Takes garbage away in two looks: the first writes down what it means to remove (`gc/`), the second, after the grace, looks
/// again and removes what still is garbage. Any number of collectors may run at once, and end anywhere.
///
/// Claims and signs of nodes go at the first look: no data depends on them, and who still needs one makes it again.

internal import VarveCore
internal import VarveIndexing
package import VarveModel
package import VarveStorage

package struct GarbageCollection: Sendable {
    package static let graceDefault = Duration.seconds(3600)

    package struct Report: Sendable, Equatable {
        /// What was found garbage now: removed, or waiting.
        package var garbage: Garbage
        package var removed: [Garbage.Object] = []
        /// Written down, now or before, and not yet past its grace.
        package var waiting: [Garbage.Object] = []
        /// Until everything that waits may be removed, as far as the store's clock tells.
        package var wait: Duration?
    }

    private let store: BlockStore
    private let grace: Duration

    package init(_ store: BlockStore, grace: Duration = graceDefault) {
        self.store = store
        self.grace = grace
    }

    /// What is garbage, and what of it waits; nothing is changed.
    package func look() async throws(VarveError) -> Report {
        var report = Report(garbage: try await Garbage.look(in: store))
        let pending = try intents()
        let names = Set(pending.flatMap(\.intent.names))
        report.waiting = report.garbage.files.filter { names.contains($0.name) }
        report.wait = wait(pending)
        return report
    }

    package func run() async throws(VarveError) -> Report {
        // Before the look: what is removed was garbage after its grace was over.
        let pending = try intents()
        await Means.breathe()
        var report = Report(garbage: try await Garbage.look(in: store))
        let over = pending.filter { $0.age >= grace }
        let (past, future) = (
            Set(over.flatMap(\.intent.names)), Set(pending.filter { $0.age < grace }.flatMap(\.intent.names))
        )
        for object in report.garbage.files {
            if past.contains(object.name) || grace == .zero {
                await Means.breathe()
                try store.objects.remove(object.name)
                report.removed.append(object)
            } else {
                report.waiting.append(object)
            }
        }
        // Only now: a collector that ended before this is followed by one that goes on.
        for (_, name, _) in over {
            await Means.breathe()
            try store.objects.remove(name)
        }
        let new = report.waiting.map(\.name).filter { !future.contains($0) }
        if !new.isEmpty { try write(GarbageIntent(new)) }
        for name in report.garbage.claims {
            await Means.breathe()
            try store.objects.remove(name)
        }
        for object in report.garbage.nodes {
            await Means.breathe()
            try store.objects.remove(object.name)
            report.removed.append(object)
        }
        report.wait = new.isEmpty ? wait(pending.filter { $0.age < grace }) : grace
        return report
    }

    // MARK: Intents

    private typealias Pending = (intent: GarbageIntent, name: String, age: Duration)

    private func intents() throws(VarveError) -> [Pending] { try GarbageIntent.pending(in: store) }

    private func wait(_ pending: [Pending]) -> Duration? { pending.map { max(.zero, grace - $0.age) }.max() }

    /// On a full disk, which is when room is wanted most, a node gives up its reserve for it; it makes a new one later.
    private func write(_ intent: GarbageIntent) throws(VarveError) {
        do throws(VarveError) {
            _ = try store.objects.putIfAbsent(intent.name, intent.encoded())
        } catch {
            guard error.code == .storageFull else { throw error }
            guard let reserve = try store.objects.list("nodes/").first(where: { $0.hasSuffix(".reserve") }) else {
                throw VarveError(
                    .storageFull,
                    "there is no room to write down which \(intent.names.count) files are to be removed: they stay. "
                        + "\(error.message)",
                    next:
                        "varve blocks gc --grace PT0S --config node.yaml, which removes them now and writes nothing down"
                )
            }
            try store.objects.remove(reserve)
            _ = try store.objects.putIfAbsent(intent.name, intent.encoded())
        }
    }
}
