import Testing
import VarveCore

@Suite struct PersistentTreeTests {
    /// Deterministic numbers: a seed reproduces a failure.
    struct Numbers {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64]) func itIsTheSameAsADictionaryAndASort(_ seed: UInt64) {
        var numbers = Numbers(state: seed)
        var tree = PersistentTree<UInt64, UInt64>()
        var model: [UInt64: UInt64] = [:]
        var snapshots: [(PersistentTree<UInt64, UInt64>, [UInt64: UInt64])] = []
        for i in 0..<20_000 {
            let key = numbers.next() % 5_000
            tree.set(key, UInt64(i))
            model[key] = UInt64(i)
            if i.isMultiple(of: 3_333) { snapshots.append((tree, model)) }
        }
        snapshots.append((tree, model))
        for (tree, model) in snapshots {
            #expect(tree.count == model.count)
            var seen: [UInt64] = []
            tree.forEach { key, value in
                #expect(model[key] == value)
                seen.append(key)
            }
            #expect(seen == model.keys.sorted())
            #expect(tree.last?.key == seen.last)
            for key in 0..<5_000 as Range<UInt64> { #expect(tree[key] == model[key]) }
        }
    }

    @Test func aCursorStartsAtTheFirstKeyNotBelow() {
        var tree = PersistentTree<Int, Int>()
        for i in stride(from: 0, to: 1_000, by: 2) { tree.set(i, i) }
        for start in [-5, 0, 1, 2, 501, 998, 999, 5_000] {
            var cursor = tree.cursor(from: start)
            var found: [Int] = []
            while let (key, _) = cursor.current, found.count < 3 {
                found.append(key)
                cursor.advance()
            }
            let expected = Array(stride(from: 0, to: 1_000, by: 2).filter { $0 >= start }.prefix(3))
            #expect(found == expected)
        }
    }

    /// What an inner node says of its first child must stay below everything in it, or a later split breaks the order.
    @Test func keysBelowAllOthersKeepTheOrderWhateverSplits() {
        let orders: [[Int]] = [
            Array((0..<5_000).reversed()),
            (0..<2_500).flatMap { [2_500 + $0, 2_499 - $0] },
            // One inner node first, then everything below it.
            Array(4_000..<4_200) + (0..<4_000).reversed() + Array(4_200..<5_000),
        ]
        for order in orders {
            var tree = PersistentTree<Int, Int>()
            for (count, key) in order.enumerated() {
                tree.set(key, -key)
                if count.isMultiple(of: 97) { #expect(order[...count].allSatisfy { tree[$0] == -$0 }, "at \(count)") }
            }
            var seen: [Int] = []
            tree.forEach { key, _ in seen.append(key) }
            #expect(seen == Array(0..<5_000))
            #expect((0..<5_000).allSatisfy { tree.cursor(from: $0).current?.key == $0 })
        }
    }

    @Test func anEmptyTreeHasNothing() {
        let tree = PersistentTree<Int, Int>()
        #expect(tree[1] == nil)
        #expect(tree.cursor().current == nil)
        #expect(tree.last == nil)
    }
}
