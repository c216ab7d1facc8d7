// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// A price feed with the reading functions of Chainlink's AggregatorV3Interface, whose answer
/// anyone sets: for tests on a real chain.
contract Feed {
    uint8 public constant decimals = 8;
    uint80 private round;
    int256 private answer;
    uint256 private updatedAt;

    function set(int256 newAnswer) external {
        round += 1;
        answer = newAnswer;
        updatedAt = block.timestamp;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        require(round != 0, "No data present");
        return (round, answer, updatedAt, updatedAt, round);
    }
}
