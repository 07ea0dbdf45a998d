/// Checks of the provider: what it finds, makes and opens.

import VarveLog
import VarveModel

extension LogContract {
    static let providerChecks: [Check] = [
        Check("[V1 V2] an epoch is missing until it is created; probing and opening create nothing") { bench in
            guard bench.subject.createsEpochs else { return }
            let epoch = bench.subject.epoch
            for _ in 0..<2 {
                try requireEqual(try await bench.provider.probe(epoch), .missing, "probe of a place nobody created")
                try await requireError(.logMissing, "open of a missing log") { try await bench.provider.open(epoch) }
            }
            try await bench.provider.create(epoch)
            try requireEqual(try await bench.provider.probe(epoch), .present, "probe after create")
            try requireEqual(
                try await bench.provider.probe(bench.subject.otherEpoch), .missing, "probe of another epoch")
        },
        Check("[V5] creating what exists is success and changes nothing, by many at once too") { bench in
            let (log, _) = try await bench.begun()
            let range = try await log.range()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 { group.addTask { try await bench.provider.create(bench.subject.epoch) } }
                try await group.waitForAll()
            }
            try requireEqual(try await log.range(), range, "range after create")
            await log.close()
        },
        Check("[R2] a new log is empty") { bench in
            let log = try await bench.opened()
            let range = try await log.range()
            try require(range.isEmpty, "a new log holds \(range)")
            try requireEqual(try await log.read(at: range.lowerBound), nil, "record of an empty log")
            await log.close()
        },
        Check("[V3] a second handle is allowed, or LOG_LOCKED") { bench in
            let (log, _) = try await bench.begun()
            if bench.subject.isExclusive {
                try await requireError(.logLocked, "second handle") {
                    try await bench.provider.open(bench.subject.epoch)
                }
            } else {
                let second = try await bench.provider.open(bench.subject.epoch)
                try await bench.append(records(0..<1), to: second)
                try requireEqual(try await log.range(), try await second.range(), "range of two handles")
                await second.close()
            }
            await log.close()
        },
        Check("[V4 V6] epochs are logs of their own, each with the reference that its provider names") { bench in
            let (log, first) = try await bench.begun()
            let reference = try await bench.provider.reference(bench.subject.epoch)
            try require(reference.isSamePlace(as: log.reference), "a provider names \(reference), not \(log.reference)")
            let other = try await bench.opened(bench.subject.otherEpoch)
            try require(!log.reference.isSamePlace(as: other.reference), "two epochs have the same reference")
            try await bench.append([genesis(bench.subject.otherEpoch)], to: other)
            try requireEqual(try await log.range().upperBound, first, "end after an append to another epoch")
            await log.close()
            await other.close()
        },
        Check("[V7] another name is another log in the same place, or the same one where logs have no names") { bench in
            let epoch = bench.subject.epoch
            let own = try await bench.provider.reference(epoch)
            let other = try await bench.provider.named("another-name").reference(epoch)
            try requireEqual(other.kind, own.kind, "kind of a log of another name")
            try requireEqual(other.clusterID, own.clusterID, "place of a log of another name")
            try require(
                other.isSamePlace(as: own) || other.topic.hasPrefix("another-name"),
                "another name leads from \(own.topic) to \(other.topic)")
            try requireEqual(try await bench.provider.reference(epoch), own, "what the provider itself names")
        },
        Check("[D1] what was stored is there for the next handle, and offsets go on") { bench in
            let (log, first) = try await bench.begun()
            try await bench.append(records(0..<100), to: log)
            let before = try await bench.entries(of: log, from: first)
            let end = try await log.range().upperBound
            await log.close()
            let again = try await bench.provider.open(bench.subject.epoch)
            try requireEqual(try await again.range().upperBound, end, "end after opening again")
            try requireEqual(try await bench.entries(of: again, from: first), before, "entries after opening again")
            try await bench.append(records(100..<101), to: again)
            let added = try await again.read(at: end)
            try requireEqual(added?.bytes, records(100..<101)[0], "record appended after opening again")
            await again.close()
        },
    ]
}
