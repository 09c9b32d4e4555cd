r"""Every sentence of `check` in Chinese, by the English one, with the same {names} of values.

A sentence that is new in the code needs a row here; tests/test_check.py says which are missing.
The terms are those of course/zh/glossary.md.
"""

CHINESE = {
    # every exercise
    "{task}: {agreed}": "{task}：{agreed}",
    "logits, states and gradients agree with the equations in {count} shapes":
        "在 {count} 种形状下，logits、状态和梯度都与方程一致",
    "right in {count} cases": "{count} 组用例全部正确",
    "task must be one of {names}, got {got}": "task 必须是 {names} 之一，实际得到：{got}",
    "{words}\n{case}, {name}:\nyours\n{found}\nright\n{expected}":
        "{words}\n{case}，{name}：\n你的结果\n{found}\n正确结果\n{expected}",
    "With {arguments}": "当 {arguments} 时",
    "{count} in all": "共 {count} 个",
    "It looks like two things at once. {a} {b}": "看来同时有两处错误。{a}{b}",
    "There is a difference in {name}, and it is none of the mistakes that are made most.":
        "“{name}”与正确结果不同，但不属于任何一种常见错误。",
    "{words} {hint}": "{words}{hint}",
    "It is right for one letter: look at what a step hands to the next, and when.":
        "只有一个字母时是对的：检查每一步在什么时候把什么传给下一步。",
    "It is right for one text and wrong for several: are they mixed up?":
        "只有一段文本时是对的，有几段时就错了：是不是把它们混在一起了？",
    "With {names} = 0 all is right: look at where that is used.":
        "令 {names} = 0 就全对了：检查用到它的地方。",
    " or ": " 或 ",
    "Go through the case below step by step: where do you first differ?":
        "把下面的用例一步一步算一遍：从哪里开始不同？",
    "All values are right, {name} is not: is there a detach(), a .data, an item() or a no_grad() "
    "on the way?":
        "数值都对，不对的是 {name}：中间是不是有 detach()、.data、item() 或 no_grad()？",
    "Nothing is written yet: it raises NotImplementedError.":
        "还没有写：函数抛出 NotImplementedError。",
    "It raises {error}": "函数抛出 {error}",
    "in line {number}: {code}\n": "第 {number} 行：{code}\n",
    "`@` is the product of matrices; ⊙ is `*`, number by number.":
        "`@` 是矩阵乘法；⊙ 是 `*`，逐元素相乘。",
    "A tensor is turned round by `flip(0)`, not by `[::-1]`.":
        "翻转张量要用 `flip(0)`，不能用 `[::-1]`。",
    "It changes a tensor in place (`*=`, `copy_`, `H[:] = ...`), and the way back needs what was "
    "there: make a new one. {words}":
        "函数原地修改了张量（`*=`、`copy_`、`H[:] = ...`），而反向传播要用它原来的值："
        "请新建一个张量。{words}",
    "It changes its argument {name}; whoever calls it may need that.":
        "函数修改了它的参数 {name}；调用它的代码可能还要用这个参数。",
    # the form of an answer
    "the dictionary": "字典",
    "the batches": "小批量",
    "the perplexity": "困惑度",
    "gradient {number}": "梯度 {number}",
    "the states": "状态",
    "the inputs": "输入",
    "the gradient of {name}": "{name} 的梯度",
    "the gradient of the first {name}": "{name} 初始值的梯度",
    "a tensor of the shape {shape}": "形状为 {shape} 的张量",
    "a {type} of {length}": "长度为 {length} 的 {type}",
    " ({parts})": "（{parts}）",
    " and ": "、",
    "nothing": "None（没有返回值）",
    "It must return two things, logits and {wanted}; got {got}":
        "必须返回两样东西：logits 和 {wanted}；实际得到：{got}",
    "The new state must be the tuple {wanted}, got {got}":
        "新状态必须是元组 {wanted}，实际得到：{got}",
    "{name} must be a tensor of the shape {shape}, got {got}":
        "{name} 必须是形状为 {shape} 的张量，实际得到：{got}",
    "{name} must have the shape {shape}, got {got}": "{name}：形状必须是 {shape}，实际得到：{got}",
    ": put the steps below one another, with torch.cat": "；用 torch.cat 把各个时间步上下拼接起来",
    ": put the steps below one another, along axis 0": "；沿轴 0 把各个时间步上下拼接起来",
    ", as of one step: collect those of every step, and return after the loop":
        "，像是只有一个时间步；把每一步的 logits 都收集起来，循环结束后再返回",
    ": is there a `*` where a product with a matrix belongs? That is `@`":
        "；该用矩阵乘法的地方是不是写成了 `*`？矩阵乘法是 `@`",
    "{name} must be {dtype} like the inputs, got {got}":
        "{name} 必须和输入一样是 {dtype}，实际得到：{got}",
    "It must return a dict, got {got}": "必须返回字典（dict），实际得到：{got}",
    "It must return a list of (X, Y), got {got}": "必须返回由 (X, Y) 组成的列表，实际得到：{got}",
    "A batch must be a pair (X, Y), got {got}": "每个小批量必须是一对 (X, Y)，实际得到：{got}",
    "X and Y must be tensors of the shape (batch_size, num_steps), got {got}":
        "X 和 Y 必须是形状为 (batch_size, num_steps) 的张量，实际得到：{got}",
    "X and Y must hold whole numbers, got {got}": "X 和 Y 里必须是整数，实际得到：{got}",
    "It must return one number, got {got}": "必须返回一个数，实际得到：{got}",
    "It must return a list of tensors, got {got}": "必须返回由张量组成的列表，实际得到：{got}",
    "It must return a tensor of the shape {shape}, got {got}":
        "必须返回形状为 {shape} 的张量，实际得到：{got}",
    "The inputs must be whole numbers, got {got}": "输入必须是整数，实际得到：{got}",
    # every network
    "The logits of a step come from H before that step; they need the new H.":
        "logits 用的是这一步之前的 H；应该用新的 H。",
    "The logits stand text by text; they must stand step by step.":
        "logits 是按文本排列的；应该按时间步排列。",
    "The logits stand in the wrong order of time: the last step comes first.":
        "logits 的时间顺序反了：最后一步排到了最前面。",
    "There is a softmax; the loss wants logits.": "多了一个 softmax；损失函数要的是 logits。",
    "There is a log_softmax; the loss wants logits.":
        "多了一个 log_softmax；损失函数要的是 logits。",
    "There is a softmax, over the wrong axis at that; the loss wants logits.":
        "多了一个 softmax，而且轴也不对；损失函数要的是 logits。",
    "There is a tanh around the logits; nothing comes after W_hq and b_q.":
        "logits 外面多了一个 tanh；W_hq 和 b_q 之后不再有别的运算。",
    "There is a σ around the logits; nothing comes after W_hq and b_q.":
        "logits 外面多了一个 σ；W_hq 和 b_q 之后不再有别的运算。",
    "The first state is returned; it must be the last one.":
        "返回的是初始状态；应该返回最后的状态。",
    "The first state is not used: the function begins from zeros.":
        "没有用到初始状态：函数是从全零的状态开始的。",
    "{a} and {b} are returned the wrong way round; the state is ({a}, {b}).":
        "返回的 {a} 和 {b} 顺序反了；状态是 ({a}, {b})。",
    "{name} is returned twice; the state is ({a}, {b}).": "{name} 返回了两次；状态是 ({a}, {b})。",
    "No bias is used but b_q.": "除了 b_q，别的偏置都没有用到。",
    "No bias is used.": "所有偏置都没有用到。",
    "{name} is not used.": "没有用到 {name}。",
    "{name} is turned: the product is H @ {name}, not H @ {name}.T.":
        "{name} 被转置了：应该是 H @ {name}，而不是 H @ {name}.T。",
    "{a} and {b} are exchanged.": "{a} 和 {b} 互换了。",
    "{used} stands where {lost} belongs.": "该用 {lost} 的地方用了 {used}。",
    "The parameters of {a} and {b} are exchanged.": "{a}和{b}的参数互换了。",
    "the update gate": "更新门",
    "the reset gate": "重置门",
    "the input gate": "输入门",
    "the forget gate": "遗忘门",
    "the output gate": "输出门",
    "the gate": "门",
    "the candidate": "候选",
    # every cell
    "The state is not carried on: a step starts from the state of the one before.":
        "状态没有传下去：每一步要从上一步的状态开始。",
    "The new state is used for the logits, and then forgotten: keep it for the next step.":
        "新状态只用来算 logits，然后就丢掉了：要留给下一步用。",
    "The text is read from its end.": "文本是从末尾开始读的。",
    "The candidate goes through σ; it needs tanh.": "候选经过的是 σ；应该是 tanh。",
    "The candidate goes through a ReLU; it needs tanh.": "候选经过的是 ReLU；应该是 tanh。",
    "The candidate has no tanh.": "候选少了 tanh。",
    "The gates go through tanh; they need σ.": "各个门经过的是 tanh；应该是 σ。",
    "The gates have no σ.": "各个门少了 σ。",
    "The gates go through a softmax; they need σ, each number by itself.":
        "各个门经过的是 softmax；应该是 σ，每个数单独计算。",
    # rnn
    "There is no tanh.": "少了 tanh。",
    "There is a σ where the RNN has tanh.": "RNN 里该用 tanh 的地方用了 σ。",
    "There is a ReLU where the RNN has tanh.": "RNN 里该用 tanh 的地方用了 ReLU。",
    "There are two tanh, one inside the other.": "有两个 tanh，一个套着另一个。",
    "The tanh is around X @ W_xh alone; it belongs around the whole sum.":
        "tanh 只套在 X @ W_xh 外面；应该套在整个和外面。",
    "The old H is added to the new one; an RNN has only the tanh.":
        "旧的 H 加到了新的 H 上；RNN 里只有 tanh。",
    "b_h is added after the tanh; it belongs inside.": "b_h 加在了 tanh 之后；应该加在里面。",
    "The state that is carried on lacks the tanh.": "传给下一步的状态少了 tanh。",
    # gru
    "R goes through tanh; it needs σ.": "R 经过的是 tanh；应该是 σ。",
    "Z goes through tanh; it needs σ.": "Z 经过的是 tanh；应该是 σ。",
    "The reset gate multiplies after the product with W_hh; it is to do so before.":
        "重置门是在与 W_hh 相乘之后才乘的；应该在之前乘。",
    "The reset gate multiplies the product with W_hh and b_h, too; only H is to be reset.":
        "重置门乘了与 W_hh 的乘积，连 b_h 也乘了；要重置的只有 H。",
    "The reset gate multiplies the whole sum; only H is to be reset.":
        "重置门乘了整个和；要重置的只有 H。",
    "The reset gate is not used.": "没有用到重置门。",
    "The candidate uses 1 - R in place of R.": "候选该用 R，却用了 1 - R。",
    "The candidate uses Z in place of R, or R has the parameters of Z.":
        "候选该用 R，却用了 Z，或者 R 用了 Z 的参数。",
    "R ⊙ H has overwritten the old H; Z is to mix the candidate with the old H.":
        "R ⊙ H 覆盖了旧的 H；Z 应该把候选与旧的 H 混合。",
    "The candidate is made of R @ W_hh without H.": "候选用的是 R @ W_hh，少了 H。",
    "1 - Z needs parentheses: without them only Z multiplies the candidate.":
        "1 - Z 要加括号：不加的话，只有 Z 与候选相乘。",
    "Z and 1 - Z are exchanged: Z says how much of the old H is kept.":
        "Z 和 1 - Z 互换了：Z 决定旧的 H 保留多少。",
    "The candidate is added whole; it needs the factor 1 - Z.":
        "候选是整个加上去的；要乘以 1 - Z。",
    "The old H is added whole; it needs the factor Z.": "旧的 H 是整个加上去的；要乘以 Z。",
    "Z multiplies both the old H and the candidate; the candidate needs 1 - Z.":
        "旧的 H 和候选都乘了 Z；候选要乘以 1 - Z。",
    "H is mixed with the reset gate; it needs the update gate Z.":
        "混合新旧 H 时用了重置门；应该用更新门 Z。",
    "H is the candidate; Z must mix it with the old H, before that is overwritten.":
        "H 就是候选；要用 Z 把它和旧的 H 混合，而且要在旧的 H 被覆盖之前。",
    "The old H is missing from the new one.": "新的 H 里少了旧的 H。",
    "There is a tanh around the new H; it belongs only into the candidate.":
        "新的 H 外面多了一个 tanh；tanh 只用在候选里。",
    "The logits are made of the candidate; they are made of the new H.":
        "logits 是用候选算的；应该用新的 H。",
    # lstm
    "H is O ⊙ C; there must be a tanh around C.": "H 成了 O ⊙ C；C 外面必须有 tanh。",
    "There is a σ around C where H needs tanh.": "算 H 时 C 外面是 σ；应该是 tanh。",
    "The output gate is not used.": "没有用到输出门。",
    "The tanh stands around O ⊙ C; it belongs around C alone.":
        "tanh 套在了 O ⊙ C 外面；应该只套在 C 外面。",
    "H comes from C before the step; it needs the new C.": "H 用的是这一步之前的 C；应该用新的 C。",
    "The forget gate is not used.": "没有用到遗忘门。",
    "The old C is not used.": "没有用到旧的 C。",
    "The candidate is not used: C is only what is left of the old C.":
        "没有用到候选：C 里只有旧的 C 留下的部分。",
    "The forget gate stands where the output gate belongs.": "该用输出门的地方用了遗忘门。",
    "The output gate stands where the forget gate belongs.": "该用遗忘门的地方用了输出门。",
    "H is made of the candidate; it is made of the new C.": "H 是用候选算的；应该用新的 C。",
    "The forget gate goes through tanh; it needs σ.": "遗忘门经过的是 tanh；应该是 σ。",
    "The output gate goes through tanh; it needs σ.": "输出门经过的是 tanh；应该是 σ。",
    "The old C stands where the candidate belongs.": "该用候选的地方用了旧的 C。",
    "The candidate has overwritten the old C.": "候选覆盖了旧的 C。",
    "F multiplies the whole sum; it belongs to the old C alone.": "F 乘了整个和；它只该乘旧的 C。",
    "C itself goes through the tanh; only H is made of tanh(C).":
        "C 自己经过了 tanh；只有算 H 时才用 tanh(C)。",
    "There is a tanh around the new C; it belongs only into H.":
        "新的 C 外面多了一个 tanh；tanh 只在算 H 时用。",
    "The logits are made of C; they are made of H.": "logits 是用 C 算的；应该用 H。",
    "The logits are made of tanh(C); they are made of H, which has the output gate.":
        "logits 是用 tanh(C) 算的；应该用 H，它还乘了输出门。",
    "The logits are made of the candidate; they are made of H.":
        "logits 是用候选算的；应该用 H。",
    "C is not carried on: every step starts from the first C.":
        "C 没有传下去：每一步都从初始的 C 开始。",
    "H is not carried on: every step starts from the first H.":
        "H 没有传下去：每一步都从初始的 H 开始。",
    "H and C are taken out of the state the wrong way round; it is (H, C).":
        "从状态里取出 H 和 C 时顺序反了；状态是 (H, C)。",
    "The input gate is not used.": "没有用到输入门。",
    "The forget gate counts the wrong way: C needs F, not 1 - F.":
        "遗忘门用反了：C 要乘以 F，而不是 1 - F。",
    "F and I, or their parameters, are exchanged: F belongs to the old C.":
        "F 和 I（或者它们的参数）互换了：F 要乘旧的 C。",
    "The output gate stands where the input gate belongs.": "该用输入门的地方用了输出门。",
    "The input gate goes through tanh; it needs σ.": "输入门经过的是 tanh；应该是 σ。",
    "The input gate stands where the output gate belongs.": "该用输出门的地方用了输入门。",
    "The input gate multiplies the old C, too; that needs F.":
        "输入门也乘了旧的 C；旧的 C 要乘以 F。",
    "The forget gate multiplies the candidate, too; that needs I.":
        "遗忘门也乘了候选；候选要乘以 I。",
    "The candidate has the factor 1 - F, as if this were a GRU; it needs I.":
        "候选乘了 1 - F，好像这是 GRU；应该乘以 I。",
    # coupled
    "The factor 1 - F is not used.": "没有用到因子 1 - F。",
    "The output gate stands where the factor 1 - F belongs.": "该用因子 1 - F 的地方用了输出门。",
    "F and 1 - F are exchanged: F belongs to the old C.": "F 和 1 - F 互换了：F 要乘旧的 C。",
    "1 - F needs parentheses: without them only F multiplies the candidate.":
        "1 - F 要加括号：不加的话，只有 F 与候选相乘。",
    "1 - F stands where the output gate belongs.": "该用输出门的地方用了 1 - F。",
    "The candidate has the factor 1 - O; it needs 1 - F.": "候选乘了 1 - O；应该乘以 1 - F。",
    "The candidate has the factor F, like the old C; it needs 1 - F.":
        "候选和旧的 C 一样乘了 F；应该乘以 1 - F。",
    # mgu
    "The gate multiplies after the product with W_hh; it is to do so before.":
        "门是在与 W_hh 相乘之后才乘的；应该在之前乘。",
    "The gate multiplies the product with W_hh and b_h, too; it is to multiply H.":
        "门乘了与 W_hh 的乘积，连 b_h 也乘了；应该乘 H。",
    "The gate multiplies the whole sum; it is to multiply H.": "门乘了整个和；应该乘 H。",
    "The gate does not multiply the H that the candidate sees.": "候选用到的 H 没有乘以门。",
    "The candidate uses 1 - F in place of F.": "候选该用 F，却用了 1 - F。",
    "F ⊙ H has overwritten the old H; the new H is made of the old one.":
        "F ⊙ H 覆盖了旧的 H；新的 H 要用旧的 H 来算。",
    "F and 1 - F are exchanged: F says how much of the candidate comes in.":
        "F 和 1 - F 互换了：F 决定加入多少候选。",
    "The candidate is added whole; it needs the factor F.": "候选是整个加上去的；要乘以 F。",
    "The old H is added whole; it needs the factor 1 - F.": "旧的 H 是整个加上去的；要乘以 1 - F。",
    "1 - F needs parentheses: without them only F multiplies the old H.":
        "1 - F 要加括号：不加的话，只有 F 与旧的 H 相乘。",
    "H is the candidate; the gate must mix it with the old H, before that is overwritten.":
        "H 就是候选；要用门把它和旧的 H 混合，而且要在旧的 H 被覆盖之前。",
    # deep
    "The second layer reads X; it must read H of the first layer.":
        "第二层读的是 X；应该读第一层的 H。",
    "The second layer reads H of the first layer before the step; it needs the new one.":
        "第二层读的是第一层在这一步之前的 H；应该读新的 H。",
    "The second layer goes on from the first layer's H; it has a state of its own.":
        "第二层接着用了第一层的 H；它有自己的状态。",
    "Both layers share one H; each has a state of its own.": "两层共用了一个 H；每层有自己的状态。",
    "Both layers use the parameters of the first.": "两层用的都是第一层的参数。",
    "Both layers use W_hh1.": "两层用的都是 W_hh1。",
    "Both layers use b_h1.": "两层用的都是 b_h1。",
    "The output layer reads the first layer; it must read the second.":
        "输出层读的是第一层；应该读第二层。",
    "The output layer reads the sum of both layers; it must read the second alone.":
        "输出层读的是两层的和；应该只读第二层。",
    "W_hh1 and W_hh2 are exchanged.": "W_hh1 和 W_hh2 互换了。",
    "The second layer reads only the last H of the first; it needs that of each step.":
        "第二层只读了第一层最后的 H；应该读每一步的 H。",
    "W_xh2 and W_hh2 are exchanged.": "W_xh2 和 W_hh2 互换了。",
    "There is a σ where both layers have tanh.": "两层里该用 tanh 的地方用了 σ。",
    "The first layer has no tanh.": "第一层少了 tanh。",
    "The second layer has no tanh.": "第二层少了 tanh。",
    "The first layer's state is not carried on.": "第一层的状态没有传下去。",
    "The second layer's state is not carried on.": "第二层的状态没有传下去。",
    "No layer's state is carried on.": "两层的状态都没有传下去。",
    "H1 and H2 are taken out of the state the wrong way round; it is (H1, H2).":
        "从状态里取出 H1 和 H2 时顺序反了；状态是 (H1, H2)。",
    # bidirectional
    "The backward direction reads the text forwards.": "反向是从前往后读文本的。",
    "The backward states are not turned round: step t must meet step t.":
        "反向的状态没有翻转回来：第 t 步必须对上第 t 步。",
    "The backward direction reads the text forwards, and its states are turned round.":
        "反向是从前往后读文本的，而它的状态又被翻转了。",
    "The texts of the batch are turned round in place of the steps: flip axis 0.":
        "翻转的是小批量里的文本，而不是时间步：要翻转轴 0。",
    "The backward direction gets the batch turned round, not the steps: flip axis 0, not 1.":
        "反向读之前，翻转的是文本，而不是时间步：要翻转轴 0，而不是轴 1。",
    "The halves are exchanged: the forward H comes first.": "两半互换了：正向的 H 在前。",
    "The output layer reads the forward H twice.": "输出层读了两次正向的 H。",
    "The output layer reads the backward H twice.": "输出层读了两次反向的 H。",
    "Both directions use the parameters of the forward one.": "两个方向用的都是正向的参数。",
    "Both directions use W_xhf.": "两个方向用的都是 W_xhf。",
    "Both directions use W_hhf.": "两个方向用的都是 W_hhf。",
    "Both directions use b_hf.": "两个方向用的都是 b_hf。",
    "The backward direction goes on from the forward direction's last H.":
        "反向接着用了正向最后的 H。",
    "Both directions begin from the forward direction's first H.":
        "两个方向都从正向的初始 H 开始。",
    "The backward state that is returned has read one letter; the one at step 0 has read all.":
        "返回的反向状态只读了一个字母；第 0 步的状态才读完了全部字母。",
    "The states that are returned have read one letter each; the last ones have read all.":
        "返回的两个状态都只读了一个字母；最后的状态才读完了全部字母。",
    "There is a σ where both directions have tanh.": "两个方向里该用 tanh 的地方用了 σ。",
    "The forward direction has no tanh.": "正向少了 tanh。",
    "The backward direction has no tanh.": "反向少了 tanh。",
    "The states are not carried on: every step starts from the first ones.":
        "状态没有传下去：每一步都从初始状态开始。",
    # vocabulary
    "<unk> is missing; it has the index 0.": "缺少 <unk>；它的索引是 0。",
    "<unk> is missing, and its place is left empty: its index is 0.":
        "缺少 <unk>，它的位置空着：它的索引是 0。",
    "<unk> comes last; its index is 0.": "<unk> 排在了最后；它的索引是 0。",
    "The indices begin with 1; <unk> has the index 0.": "索引是从 1 开始的；<unk> 的索引是 0。",
    "Two tokens share the index 0: the first one after <unk> has the index 1.":
        "有两个词元的索引都是 0：<unk> 之后第一个词元的索引是 1。",
    "The rarest token comes first; the most frequent one is to.":
        "最少见的词元排在了最前面；应该是最常见的词元。",
    "Equally frequent tokens stand in the reverse order; the one that occurs first comes first.":
        "出现次数相同的词元顺序反了；先出现的排在前面。",
    "Equally frequent tokens stand in a set's order; the first in the text comes first.":
        "出现次数相同的词元是按集合（set）的顺序排的；在文本中先出现的排在前面。",
    "Equally frequent tokens stand in reverse alphabetical order; the first one comes first.":
        "出现次数相同的词元是按字母倒序排的；先出现的排在前面。",
    "Spaces are left out; they are tokens, too.": "空格被漏掉了；空格也是词元。",
    "What is no letter is left out; every token gets an index.":
        "不是字母的词元被漏掉了；每个词元都要有索引。",
    "The tokens are made lower case; take them as they are.": "词元被改成了小写；要保持原样。",
    "The tokens are cut into their letters; a token may have several.":
        "词元被拆成了单个字符；一个词元可以有好几个字符。",
    "The tokens stand in alphabetical order; they are to be ordered by how often they occur.":
        "词元是按字母顺序排的；应该按出现次数排。",
    "The tokens stand in the order in which they first occur, however often they do.":
        "词元是按首次出现的顺序排的，没有看出现次数；应该按出现次数排。",
    "Equally frequent tokens stand in alphabetical order; the one that occurs first comes first.":
        "出现次数相同的词元是按字母顺序排的；先出现的排在前面。",
    "The values are counts; they are to be indices.": "字典的值是次数；应该是索引。",
    "The values are counts, and <unk> is missing; they are to be indices.":
        "字典的值是次数，还缺少 <unk>；值应该是索引。",
    "Keys and values are exchanged: a token is to lead to its index.":
        "键和值互换了：要由词元查到它的索引。",
    # batches
    "Y is the same as X; it is to be one token ahead.": "Y 和 X 一样；Y 应该取 X 的下一个词元。",
    "Y is two tokens ahead of X; it is to be one.": "Y 取的是 X 之后第二个词元；应该取第一个。",
    "X and Y are exchanged.": "X 和 Y 互换了。",
    "The offset is not used.": "没有用到 offset。",
    "The offset is used for X and not for Y.": "X 用了 offset，而 Y 没有用。",
    "The batches are turned: a row is a text, (batch_size, num_steps).":
        "小批量被转置了：每行是一段文本，形状是 (batch_size, num_steps)。",
    "A row goes on in the next row; it is to go on in the same row of the next batch.":
        "一行接到了下一行；应该接到下一个小批量的同一行。",
    "A text runs down a column of the corpus; each row is to be one stretch of it.":
        "文本是按列从语料里取的；每一行应该是语料中连续的一段。",
    "The batches overlap: the next one starts num_steps later, not one.":
        "小批量之间有重叠：下一个要晚 num_steps 开始，而不是只晚一个词元。",
    "The batches overlap up to the last full one: the next one starts num_steps later, not one.":
        "直到最后一个完整的小批量都有重叠：下一个要晚 num_steps 开始，而不是只晚一个词元。",
    "What is left over at the end makes a shorter batch; it is to be left out.":
        "末尾剩下的词元成了一个较短的小批量；应该舍弃。",
    "Every row keeps its last token back; only the last one of the corpus is to be kept back.":
        "每一行都留出了自己的最后一个词元；只应该留出整个语料的最后一个词元。",
    "The last full batch is missing.": "少了最后一个完整的小批量。",
    "The last full batch is missing where nothing is left over: a start may be the very last.":
        "没有剩余时，少了最后一个完整的小批量：它的起点也要算进去。",
    "The number of batches is that of the whole corpus; it is that of the rows that were cut.":
        "小批量的个数是按整个语料算的；应该按切好的行来算。",
    "The offset is missing from the count of tokens to cut: len(corpus) - offset - 1.":
        "计算要切分的词元数时漏了 offset：应该是 len(corpus) - offset - 1。",
    "There is only the first batch.": "只有第一个小批量。",
    "The last token has none after it: it is only ever an answer, and belongs into no X.":
        "最后一个词元后面没有词元了：它只能作答案，不能出现在 X 里。",
    "The first batch is missing.": "少了第一个小批量。",
    "The last Y of a row is its first X; it is to be the token that follows in the corpus.":
        "一行的最后一个 Y 成了这一行的第一个 X；应该是语料中的下一个词元。",
    # perplexity
    "The minus is missing: a perplexity is at least 1.": "少了负号：困惑度至少是 1。",
    "The exp is missing: this is the cross-entropy, its logarithm.":
        "少了 exp：这是交叉熵，也就是困惑度的对数。",
    "The minus stands before the exp; it belongs inside.": "负号写在了 exp 前面；应该写在里面。",
    "The exp and the minus are missing.": "少了 exp 和负号。",
    "The sum stands where the mean belongs.": "该用平均值的地方用了总和。",
    "The sum stands where the mean belongs, and the exp is missing.":
        "该用平均值的地方用了总和，还少了 exp。",
    "This is 1 over the mean probability; take the mean of the logarithms.":
        "这是平均概率的倒数；应该对对数取平均。",
    "This is the mean of 1 / p; take the mean of the logarithms.":
        "这是 1 / p 的平均值；应该对对数取平均。",
    "The logarithm has base 2, the power base e; both need the same base.":
        "对数以 2 为底，幂以 e 为底；两者的底必须相同。",
    "The logarithm has base e, the power base 2; both need the same base.":
        "对数以 e 为底，幂以 2 为底；两者的底必须相同。",
    "The logarithm has base 10, the power base e; both need the same base.":
        "对数以 10 为底，幂以 e 为底；两者的底必须相同。",
    "This is exp of an entropy: -log p has the weight p; all of them count the same.":
        "这是对熵取 exp 的结果：每个 -log p 都乘了权重 p；它们的权重应该相同。",
    "This is the mean probability.": "这是平均概率。",
    "The logarithm is missing: take the mean of the logarithms.": "少了对数：应该对对数取平均。",
    "The product of many probabilities becomes 0 in the computer; add their logarithms.":
        "很多概率连乘，在计算机里会变成 0；应该把它们的对数相加。",
    "The sum is divided by one less than there are probabilities.": "总和除以的是概率个数减 1。",
    "This is the median in place of the mean.": "这是中位数；应该用平均值。",
    "The probabilities are kept above {least}: an impossible letter must cost more than that.":
        "概率被限制在 {least} 以上：不可能的字母，代价要比这更大。",
    # clip
    "Each gradient is clipped by a norm of its own; there is one norm for all of them.":
        "每个梯度都按自己的范数裁剪了；所有梯度合起来只有一个范数。",
    "Every number is cut off by itself; the whole is to be scaled, to keep its direction.":
        "每个数都单独截断了；应该整体缩放，以保持方向不变。",
    "They are scaled even where their norm is less than theta.": "范数小于 theta 时也缩放了。",
    "They are scaled even where their norm is less than theta, and 0 / 0 where it is 0.":
        "范数小于 theta 时也缩放了，而且范数为 0 时成了 0 / 0。",
    "They are scaled to a norm of 1, not of theta.": "范数缩放到了 1，而不是 theta。",
    "They are scaled where the norm is small: the condition is turned, or max stands for min.":
        "范数小的时候才缩放：条件写反了，或者该用 min 的地方用了 max。",
    "They are scaled where the norm is small (max stands for min), and nan where it is 0.":
        "范数小时才缩放了（该用 min 的地方用了 max），而且范数为 0 时成了 nan。",
    "This is the root of the mean of all squares; the norm is the root of their sum.":
        "这是平方的平均值的平方根；范数是平方和的平方根。",
    "The norm lacks its square root.": "范数少了开平方。",
    "This is the sum of the gradients' norms; square, add up everything, take one root.":
        "这是各个梯度的范数之和；应该先平方，全部相加，再开一次平方。",
    "This is the norm of absolute values; square, add up, take the root.":
        "这是绝对值之和；应该先平方，再相加，最后开平方。",
    "This is the greatest number; the norm is the root of the sum of squares.":
        "这是最大的数；范数是平方和的平方根。",
    "This is the greatest norm of a single gradient; there is one norm for all together.":
        "这是单个梯度的最大范数；所有梯度合起来只有一个范数。",
    "Nothing is clipped.": "没有裁剪。",
    "The factor is norm / theta; it is theta / norm.":
        "因子写成了 norm / theta；应该是 theta / norm。",
    "The norm is compared with 1, not with theta.": "范数是和 1 比较的，而不是和 theta 比较。",
    "The square of the norm is compared with theta.": "和 theta 比较的是范数的平方。",
    "The division by the norm is missing.": "少了除以范数。",
    "0 / 0 where all gradients are zero; they are to stay zero.":
        "梯度全为零时成了 0 / 0；应该保持为零。",
    "The fraction is upside down: the factor is min(1, theta / norm).":
        "分子和分母写反了：因子是 min(1, theta / norm)。",
    "Gradients that are too long are set to zero; they are to be scaled.":
        "过大的梯度被设成了零；应该缩放。",
    # masked_mean
    "Padding is read as text: both the sum and the division must stop where a text ends.":
        "填充被当成了文本：求和与除法都只能算到文本结束为止。",
    "The sum is right, but it is divided by num_steps: each text has a length of its own.":
        "总和是对的，但除以的是 num_steps：每段文本有自己的长度。",
    "The mask is forgotten in the sum: the padding must not count there either.":
        "求和时忘了掩码：填充也不能算进总和。",
    "The mask is one step too long: step t counts where t < length, and t begins with 0.":
        "掩码长了一步：t < length 的步才算，t 从 0 开始。",
    "The mask is one step too short: step t counts where t < length, and t begins with 0.":
        "掩码短了一步：t < length 的步都要算，t 从 0 开始。",
    "The sum and the division both take one step too many.": "求和与除法都多算了一步。",
    "It is divided by the greatest length: each text has a length of its own.":
        "除以的是最大长度：每段文本有自己的长度。",
    "It is divided by all words of the batch: each text has a length of its own.":
        "除以的是小批量的总词数：每段文本有自己的长度。",
    "Every text is cut where the shortest one ends: each text has a length of its own.":
        "所有文本都在最短的文本结束处截断了：每段文本有自己的长度。",
    "This is the sum: divide it by the lengths.": "这是总和：还要除以 lengths。",
    "This is the sum over all steps: the mask and the division are missing.":
        "这是所有时间步的总和：少了掩码和除法。",
    "The mask is turned round: it keeps the padding and drops the words.":
        "掩码反了：它留下了填充，丢掉了词。",
    "This is the last word's state; take the mean over all words of a text.":
        "这是最后一个词的状态；应该对文本的所有词取平均。",
    "This is the last step of the batch, which is padding for a shorter text.":
        "这是小批量的最后一步；对较短的文本来说，那是填充。",
    "The mean goes over the texts, too: each text has a mean of its own.":
        "连各段文本也一起平均了：每段文本有自己的平均值。",
    "This is the maximum over the words; take the mean.": "这是各个词的最大值；应该取平均值。",
    # last_states
    "outputs[-1] is the batch's last step: padding for a shorter text, for both halves.":
        "outputs[-1] 是小批量的最后一步：对较短的文本来说，两半都是填充。",
    "The backward half is wrong: at the last word it has read one word. At step 0 it has read all.":
        "反向的一半不对：在最后一个词那里它只读了一个词，到第 0 步才读完全部。",
    "The forward half is wrong: at step 0 it has read one word. At the last word it has read all.":
        "正向的一半不对：在第 0 步它只读了一个词，到最后一个词才读完全部。",
    "The forward half comes from the batch's last step, which is padding for a shorter text.":
        "正向的一半取自小批量的最后一步；对较短的文本来说，那是填充。",
    "The backward half comes from the batch's last step: it goes backwards, and ends at step 0.":
        "反向的一半取自小批量的最后一步：反向是倒着读的，到第 0 步才结束。",
    "The steps are exchanged: the forward half ends at the last word, the backward half at step 0.":
        "时间步互换了：正向在最后一个词结束，反向在第 0 步结束。",
    "The forward half comes one step too late: the last word stands at step length - 1.":
        "正向的一半晚了一步：最后一个词在第 length - 1 步。",
    "The forward half comes one step too early: the last word stands at step length - 1.":
        "正向的一半早了一步：最后一个词在第 length - 1 步。",
    "The forward half is the first text's in every row: index steps and texts together.":
        "每一行的正向一半都取自第一段文本：时间步和文本要一起索引。",
    "The first text's length is used for all texts.": "所有文本都用了第一段文本的长度。",
    "The halves are exchanged: the forward one comes first.": "两半互换了：正向的在前。",
    "The forward half stands twice; the second one must be the backward half.":
        "正向的一半出现了两次；第二个应该是反向的一半。",
    "The backward half stands twice; the first one must be the forward half.":
        "反向的一半出现了两次；第一个应该是正向的一半。",
    "These are means over the words; take each direction's last state.":
        "这是各个词的平均值；应该取每个方向最后的状态。",
    # decoder_inputs
    "The decoder reads the letter that it is to guess: the inputs must be one step behind.":
        "解码器读到了它要猜的字母：输入必须晚一步。",
    "The shift goes the wrong way: the decoder reads the letter after the one that it guesses.":
        "移动的方向反了：解码器读到的，是它要猜的字母的下一个。",
    "The shift goes the wrong way, and the first letter comes last.":
        "移动的方向反了，第一个字母排到了最后。",
    "The last letter comes first; bos must come first, and the last letter is left out.":
        "最后一个字母排到了最前面；最前面应该是 bos，最后一个字母要去掉。",
    "bos stands in the place of the first letter: all letters have to move one step.":
        "bos 占了第一个字母的位置：所有字母都要往后移一步。",
    "bos comes last; it must come first.": "bos 排在了最后；应该排在最前面。",
    "The letters are two steps behind; one is enough.": "字母晚了两步；晚一步就够了。",
    "The shift goes over the texts; it must go over the steps, axis 0.":
        "移动时沿的是文本的轴；应该沿时间步，也就是轴 0。",
    "Every input is bos; after the first step the decoder reads the target's letters.":
        "所有输入都是 bos；第一步之后，解码器应该读目标里的字母。",
    "The first row is 0; it must be bos.": "第一行是 0；应该是 bos。",
    "The first letter stands twice; bos must come first.":
        "第一个字母出现了两次；最前面应该是 bos。",
    "The letters are turned round.": "字母的顺序颠倒了。",
}  # fmt: skip
