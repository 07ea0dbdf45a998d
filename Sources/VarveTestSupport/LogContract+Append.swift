/// Checks of append, and of order.

import Synchronization
import VarveLog
import VarveModel

extension LogContract {
    /// What many tasks were told of their records.
    private final class Reports: Sendable {
        private let state = Mutex<(stored: Set<Bytes>, refused: Set<Bytes>)>(([], []))

        var all: (stored: Set<Bytes>, refused: Set<Bytes>) { state.withLock { $0 } }

        func note(_ result: AppendResult, of record: Bytes) {
            state.withLock { state in
                switch result {
                case .stored: state.stored.insert(record)
                case .refused: state.refused.insert(record)
                case .unknown: break
                }
            }
        }
    }

    static let appendChecks: [Check] = [
        Check("[A1 D2] one result for each record, in order; none for none") { bench in
            let (log, first) = try await bench.begun()
            try requireEqual(await log.append([]).count, 0, "results of an empty append")
            let results = try await bench.append(records(0..<50), to: log)
            let entries = try await bench.entries(of: log, from: first)
            try requireEqual(entries.map(\.bytes), records(0..<50), "records read back")
            for (result, entry) in zip(results, entries) {
                guard case .stored(let offset, let time) = result else { continue }
                if let offset { try requireEqual(offset, entry.offset, "reported offset") }
                if let time { try requireEqual(time, entry.time, "reported time") }
            }
            await log.close()
        },
        Check("[B1] any bytes are kept, none at all too") { bench in
            let (log, first) = try await bench.begun()
            let odd = [
                Bytes(), Bytes([0]), Bytes([UInt8](0...255)), Bytes([0, 0]), Bytes("not a record"),
                Bytes([UInt8](repeating: 7, count: 300_000))[1000..<299_000],
            ]
            try await bench.append(odd, to: log)
            try requireEqual(try await bench.entries(of: log, from: first).map(\.bytes), odd, "bytes read back")
            await log.close()
        },
        Check("[A2] a record above the limit is refused, those beside it and one at the limit are stored") { bench in
            let (log, first) = try await bench.begun()
            let largest = Bytes([UInt8](repeating: 1, count: log.recordBytesMax))
            let oversize = Bytes([UInt8](repeating: 2, count: log.recordBytesMax + 1))
            let three = [Bytes("a"), oversize, Bytes("b")]
            let results = await log.append(three)
            _ = try await bench.kept(three, results, in: log, from: first)
            guard case .refused(let error) = results[1] else {
                throw ContractViolation(description: "results around an oversize record: \(results)")
            }
            try requireEqual(error.code, .oversize, "code of an oversize record")
            try await bench.append([largest], to: log)
            let entries = try await bench.entries(of: log, from: first)
            try requireEqual(entries.last?.bytes.count, largest.count, "size of the largest record")
            await log.close()
        },
        Check("[C3] cancelling a task that waits in append takes nothing back") { bench in
            let (log, first) = try await bench.begun()
            let task = Task { await log.append(records(0..<100)) }
            task.cancel()
            let results = await task.value
            try requireEqual(results.count, 100, "results of a cancelled append")
            let kept = try await bench.kept(records(0..<100), results, in: log, from: first)
            try requireEqual(kept, Array(records(0..<100).prefix(kept.count)), "records of a cancelled append")
            if !bench.subject.isFaulty {
                // Nothing else stands in their way.
                for result in results {
                    guard case .stored = result else {
                        throw ContractViolation(description: "a cancelled append: \(result)")
                    }
                }
                try requireEqual(kept.count, 100, "records of a cancelled append")
            }
            for case .refused(let error) in results {
                try requireEqual(error.code, .logUnreachable, "code of a refusal after a cancellation")
            }
            await log.close()
        },
        Check("[F1 F2] what is stored is there once, what is refused never, what is unknown at most once") { bench in
            let (log, first) = try await bench.begun()
            var all: [Bytes] = []
            var results: [AppendResult] = []
            for call in 0..<40 {
                let some = records(call * 5..<call * 5 + 5)
                all += some
                results += await log.append(some)
                if call % 8 == 7 { log.purge() }
            }
            _ = try await bench.kept(all, results, in: log, from: first)
            await log.close()
            let again = try await bench.provider.open(bench.subject.epoch)
            _ = try await bench.kept(all, results, in: again, from: first)
            await again.close()
        },
        Check("[C1] every method may be called at any time, by many tasks") { bench in
            let (log, first) = try await bench.begun()
            let reports = Reports()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<6 {
                    group.addTask {
                        for call in 0..<8 {
                            let some = records(call..<call + 1, "caller \(caller)")
                            let results = await log.append(some)
                            try requireEqual(results.count, 1, "results of one record")
                            reports.note(results[0], of: some[0])
                        }
                    }
                    group.addTask {
                        var end = first
                        for _ in 0..<8 {
                            guard let range = try await unlessClosed({ try await log.range() }) else { break }
                            try require(end <= range.upperBound, "the end went back from \(end) to \(range)")
                            end = range.upperBound
                            let entry = try await unlessClosed { try await log.read(at: first) } ?? nil
                            try require(entry.map { $0.offset >= first } ?? true, "a record before the one asked for")
                            log.purge()
                            await log.trim(below: first)
                        }
                    }
                    group.addTask {
                        guard let tail = try await unlessClosed({ try await log.tail(from: first) }) else { return }
                        var next = first
                        while let batch = try await tail.next() {
                            for entry in batch.entries {
                                try require(entry.offset >= next, "a tail delivered \(entry.offset) after \(next)")
                                next = entry.offset.next
                            }
                        }
                        await tail.close()
                    }
                }
                group.addTask {
                    for _ in 0..<20 { await Task.yield() }
                    await log.close()
                }
                try await group.waitForAll()
            }
            let again = try await bench.provider.open(bench.subject.epoch)
            let kept = try await bench.entries(of: again, from: first).map(\.bytes)
            try requireEqual(Set(kept).count, kept.count, "records in the log, each once")
            let (stored, refused) = reports.all
            try require(stored.isSubset(of: kept), "a stored record is not in the log")
            try require(refused.isDisjoint(with: kept), "a refused record is in the log")
            await again.close()
        },
        Check("[P1 P2] purge answers whatever has no report yet, and the log goes on behind it") { bench in
            let (log, first) = try await bench.begun()
            let appends = (0..<30).map { caller in
                Task { (caller, await log.append(records(0..<4, "caller \(caller)"))) }
            }
            await Task.yield()
            log.purge()
            log.purge()
            try await bench.append(records(0..<1, "behind"), to: log)
            var refused: Set<Bytes> = []
            var stored: Set<Bytes> = []
            for append in appends {
                let (caller, results) = await append.value
                try requireEqual(results.count, 4, "results of an append that was given up")
                for (record, result) in zip(records(0..<4, "caller \(caller)"), results) {
                    switch result {
                    case .stored: stored.insert(record)
                    case .refused(let error):
                        try require(
                            [.overloaded, .logUnreachable].contains(error.code),
                            "\(error.code) for an append that was given up")
                        refused.insert(record)
                    case .unknown(let error):
                        try requireEqual(error.code, .logUnreachable, "code of an append that was given up")
                    }
                }
            }
            let kept = try await bench.entries(of: log, from: first).map(\.bytes)
            try require(kept.contains(records(0..<1, "behind")[0]), "nothing is stored after a purge")
            try require(stored.isSubset(of: kept), "a stored record is not in the log")
            try require(refused.isDisjoint(with: kept), "a refused record is in the log")
            try requireEqual(Set(kept).count, kept.count, "records in the log, each once")
            await log.close()
        },
        Check("[T1] log time is the same for every reader and near the clock") { bench in
            let (log, first) = try await bench.begun()
            let before = SystemInstantSource().now().microseconds / 1000
            try await bench.append(records(0..<1), to: log)
            let after = SystemInstantSource().now().microseconds / 1000
            let entry = try await log.read(at: first)
            let minute: Int64 = 60_000
            try require(
                entry.map { (before - minute...after + minute).contains($0.time) } ?? false,
                "log time \(entry.map { "\($0.time)" } ?? "none") is not in milliseconds since 1970")
            try requireEqual(try await bench.entries(of: log, from: first).first, entry, "entry by a tail and by read")
            await log.close()
        },
    ]

    static let orderChecks: [Check] = [
        Check("[O1 O2] offsets rise and never repeat, and every reader sees the same") { bench in
            let (log, first) = try await bench.begun()
            for start in stride(from: 0, to: 3000, by: 300) {
                try await bench.append(records(start..<start + 300), to: log)
            }
            let entries = try await bench.entries(of: log, from: first)
            try requireEqual(entries.map(\.bytes), records(0..<3000), "records read back")
            for (a, b) in zip(entries, entries.dropFirst()) {
                try require(a.offset < b.offset, "offset \(b.offset) follows \(a.offset)")
            }
            for _ in 0..<2 {
                try requireEqual(try await bench.entries(of: log, from: first), entries, "a second reader's entries")
            }
            await log.close()
        },
        Check("[O3] each caller's records keep their order while many append at once") { bench in
            let (log, first) = try await bench.begun()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<16 {
                    group.addTask {
                        for call in 0..<10 {
                            try await bench.append(records(call * 3..<call * 3 + 3, "caller \(caller)"), to: log)
                        }
                    }
                }
                try await group.waitForAll()
            }
            let entries = try await bench.entries(of: log, from: first)
            try requireEqual(entries.count, 480, "records of all callers")
            let texts = entries.map { $0.bytes.utf8 ?? "" }
            for caller in 0..<16 {
                let own = texts.filter { $0.hasPrefix("caller \(caller) ") }
                try requireEqual(own, (0..<30).map { "caller \(caller) \($0)" }, "order of caller \(caller)")
            }
            // One call's records stand together or at least in order; in these logs nothing comes between them.
            await log.close()
        },
    ]
}
