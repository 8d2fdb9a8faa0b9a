// A small CPU-less design: an ALU, a counter and a memory.
module alu(input clk, input [7:0] a, b, input [2:0] op, output reg [7:0] y, output reg z);
  wire [7:0] s = a + b, d = a - b;
  always @(posedge clk) begin
    case (op)
      0: y <= s;
      1: y <= d;
      2: y <= a & b;
      3: y <= a | b;
      4: y <= a ^ b;
      5: y <= a << b[2:0];
      6: y <= a >> b[2:0];
      default: y <= $signed(a) >>> b[2:0];
    endcase
    z <= y == 0;
  end
endmodule

module top(input clk, input [7:0] a, b, input [2:0] op, output [7:0] y, output z,
           output reg [7:0] count);
  reg [7:0] memory [0:15];
  alu u(clk, a, b, op, y, z);
  always @(posedge clk) begin
    memory[a[3:0]] <= b;
    count <= count + memory[b[3:0]];
  end
endmodule
