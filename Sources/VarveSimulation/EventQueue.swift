/// What happens next, in virtual time: a heap by time, then by the order of scheduling.

enum Happening {
    /// A node's tail asks for records.
    case fetch(node: Int, life: Int)
    /// A request of a node's reaches the log; its answer reaches the node.
    case request(Int)
    case report(Int)
    /// The flusher carries an effect out; learns what came of it.
    case flush(node: Int, life: Int)
    case tick(node: Int, life: Int)
    case heartbeat(node: Int, life: Int)
    /// A node looks at what the others' heartbeats ask.
    case look(node: Int, life: Int)
    case client(Int)
    case clientWaited(Int, call: Int)
    case restart(node: Int)
    /// A record comes that nobody waits for any more.
    case stray(Int)
    case nemesis
    /// A call or a wait of a procedure is over.
    case resume(Int)
    /// The operator's next step.
    case operate

    /// For the trace's digest.
    var code: UInt64 {
        switch self {
        case .fetch(let node, _): 1 << 8 | UInt64(node)
        case .request(let i): 2 << 8 | UInt64(i & 0xff)
        case .report(let i): 3 << 8 | UInt64(i & 0xff)
        case .flush(let node, _): 4 << 8 | UInt64(node)
        case .tick(let node, _): 5 << 8 | UInt64(node)
        case .heartbeat(let node, _): 6 << 8 | UInt64(node)
        case .client(let i): 7 << 8 | UInt64(i)
        case .clientWaited(let i, _): 8 << 8 | UInt64(i)
        case .restart(let node): 9 << 8 | UInt64(node)
        case .stray(let i): 10 << 8 | UInt64(i & 0xff)
        case .nemesis: 11 << 8
        case .resume(let i): 12 << 8 | UInt64(i & 0xff)
        case .operate: 13 << 8
        case .look(let node, _): 14 << 8 | UInt64(node)
        }
    }

    /// The node that this happens in, which may be paused.
    var node: Int? {
        switch self {
        case .fetch(let node, _), .flush(let node, _), .tick(let node, _), .heartbeat(let node, _),
            .look(let node, _):
            node
        default: nil
        }
    }
}

struct EventQueue {
    struct Event {
        var time: Int64
        var sequence: UInt64
        var happening: Happening

        static func precedes(_ a: Event, _ b: Event) -> Bool {
            a.time != b.time ? a.time < b.time : a.sequence < b.sequence
        }
    }

    private var heap: [Event] = []
    private var sequence: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }

    mutating func push(_ happening: Happening, at time: Int64) {
        sequence += 1
        heap.append(Event(time: time, sequence: sequence, happening: happening))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard Event.precedes(heap[child], heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func pop() -> Event? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if Event.precedes(heap[child], heap[least]) { least = child }
            }
            guard least != parent else { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
