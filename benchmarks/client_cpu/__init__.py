"""CPU that a client spends per item: the engine against what people would write instead, and the floor."""
