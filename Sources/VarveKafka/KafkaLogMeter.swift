import RdKafka
import Synchronization
import VarveLog

/// Hears what the handles of one log say, keeps count of what happened to their connections, and passes the rest on.
final class KafkaLogMeter: Sendable {
    private let state: Mutex<LogHealth>
    private let onNotice: @Sendable (KafkaNotice) -> Void

    init(retention: Duration?, onNotice: @escaping @Sendable (KafkaNotice) -> Void) {
        state = Mutex(LogHealth(retention: retention))
        self.onNotice = onNotice
    }

    var health: LogHealth { state.withLock { $0 } }

    /// On a handle's thread.
    func hear(_ notice: RdKafkaNotice) {
        if case .news(let news) = notice.kind {
            guard news.lostConnections > 0 || news.throttledMilliseconds > 0 else { return }
            state.withLock { health in
                health.reconnects &+= news.lostConnections
                let throttled = Duration.milliseconds(Int64(clamping: news.throttledMilliseconds))
                health.throttled += throttled
                // The broker reads nothing of ours before; the answers were given within the second before the news.
                if throttled > .zero { health.heldBackUntil = max(health.heldBackUntil ?? .now, .now + throttled) }
            }
        } else if let notice = KafkaNotice(notice) {
            onNotice(notice)
        }
    }
}
