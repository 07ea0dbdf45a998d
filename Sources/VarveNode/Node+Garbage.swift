/// What waits in storage to be collected, looked at once a minute for the metrics: a scrape waits for no disk.

internal import Dispatch
internal import Synchronization
internal import VarveModel
internal import VarveStorage

extension Node {
    private static let garbageInterval = Duration.seconds(60)
    /// Blocking: a disk that hangs holds up this look and nothing else.
    private static let garbageQueue = DispatchQueue(label: "varve.garbage")

    /// Until the task is cancelled. A store that cannot be read is told by others; the last look stands.
    func watchGarbage(_ store: BlockStore) async {
        guard store.objects.isShared else { return }
        while !Task.isCancelled {
            let seen = await withCheckedContinuation { (continuation: CheckedContinuation<GarbageStanding?, Never>) in
                Self.garbageQueue.async { continuation.resume(returning: try? GarbageStanding(store)) }
            }
            if let seen { garbage.withLock { $0 = seen } }
            try? await Task.sleep(for: Self.garbageInterval)
        }
    }
}
